"""A short run of a fleet whose machines fail, for every day; `--fleet` has all of its faults."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT
from typing import TYPE_CHECKING

import pytest

from tests.chaos import fleet
from tests.network import refusal

if TYPE_CHECKING:
    from pathlib import Path

REASON = fleet.refusal() or refusal()
RUN = (
    "--fleet", "--stand-in", "--seed", "5", "--minutes", "0.12", "--every", "1.2",
    "--cut-off", "3", "--hand-over-within", "60",
    "--faults", "bot-cut-off,bot-killed,database-stands-still,rolling-restart",
)  # fmt: skip


@pytest.mark.skipif(bool(REASON), reason=REASON)
async def test_every_promise_is_kept_where_machines_fail(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.chaos",
        *RUN,
        "--keep",
        str(tmp_path),
        stdout=PIPE,
        stderr=STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert "faults of 4 kinds" in said.decode()
