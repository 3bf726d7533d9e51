"""The door behind Serve's own proxies, as on Kubernetes, answers as the plain server does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from tests.generator.cluster.starting import KEY
from tests.generator.cluster.test_cluster import STORY, answered, joined, session
from tests.generator.running import running
from tests.generator.small_folders import save_gpt2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="no Ray here: no cluster is tried")

EACH: dict[str, Any] = {"slots": 1, "threads": 1}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    save_gpt2(tmp_path / "models" / "gpt2-small", n_positions=512)
    return tmp_path / "models"


@pytest.fixture
def configured(models: Path) -> Iterator[str]:
    """The address of a cluster that ends as a whole."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = {"engine": {"models": str(models), **EACH}, "cluster": {"replicas": 1, "drain": 1}}
    command = [sys.executable, "-m", "tests.generator.cluster.configured", str(port)]
    with subprocess.Popen(
        [*command, json.dumps(said)],
        env=os.environ | {"KATARIBE_ENGINE__API_KEYS": KEY},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdin
            assert process.stdout
            assert "ready\n" in process.stdout
            yield f"http://127.0.0.1:{port}"
            process.stdin.close()
            assert process.wait(60) == 0
        finally:
            process.kill()


async def test_a_configured_cluster_answers_as_the_plain_server_does(
    configured: str, models: Path
) -> None:
    async with (
        running(models, api_keys=KEY, **EACH) as address,
        session(configured) as http,
        session(address) as plain,
    ):
        for sent in (
            {"json": STORY | {"max_tokens": 24, "stream": True}},
            {"json": STORY | {"max_tokens": 24}},
            {"json": STORY | {"temprature": 1}},
            {"json": STORY, "headers": {"Authorization": "Bearer goose"}},
        ):
            ours, theirs = [
                await answered(one, "POST", "/v1/completions", **sent) for one in (http, plain)
            ]
            assert ours[:2] == theirs[:2]
            assert joined(ours[2]) == joined(theirs[2])
        async with http.get("/health") as response:
            assert list((await response.json())["replicas"].values()) == ["ok"]
