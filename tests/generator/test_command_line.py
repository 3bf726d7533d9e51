"""The generator as its parent and its host see it: a process."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import openai
import pytest

from generator.__main__ import main
from tests.generator.small_folders import save_gpt2, save_lstm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READY = re.compile(r"Kataribe generator ready on (http://127\.0\.0\.1:\d+) \(models: (.*)\)\n")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models")
    save_gpt2(place / "gpt2-small")
    save_lstm(place / "lstm-small")
    save_lstm(place / "lstm-endless", max_position_embeddings=1_000_000)
    return place


@contextmanager
def started(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "generator", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def ready_at(process: subprocess.Popen[str]) -> str:
    """The address; waits for the ready line, the first on standard output."""
    assert process.stdout
    line = process.stdout.readline()
    match = READY.fullmatch(line)
    assert match, line or (process.stderr and process.stderr.read())
    return match[1]


def test_it_serves_until_told_to_stop_and_cuts_what_runs_with_an_error(models: Path) -> None:
    with started("serve", "--models", models, "--port", "0", "--grace", "0") as process:
        url = f"{ready_at(process)}/v1"
        asked: dict[str, Any] = {"max_tokens": 900_000, "extra_body": {"min_tokens": 900_000}}
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as api:
            stream = api.completions.create(
                model="lstm-endless", prompt="In the year", stream=True, **asked
            )
            next(iter(stream))
            process.send_signal(signal.SIGTERM)
            with pytest.raises(openai.APIError, match="cut"):
                list(stream)
        assert process.wait(timeout=30) == 0


def test_it_ends_with_its_parent_even_while_loading(models: Path) -> None:
    with started("--models", models, "--port", "0", "--with-parent") as process:
        assert process.stdin
        assert process.stderr
        assert "loading" in process.stderr.readline()
        process.stdin.close()
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--slots", "none"], "engine.slots takes a whole number from 1 to 1024, not 'none'"),
        (["serve", "--port", "-1"], "engine.port takes a whole number from 0 (any) to 65535"),
    ],
)
def test_a_wrong_setting_is_one_line_and_status_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_taken_port_is_one_line(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--models", str(models), "--port", str(port)]) == 1
    assert f"Cannot listen on 127.0.0.1 port {port}: " in capsys.readouterr().err


def test_a_folder_without_models_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--models", str(tmp_path), "--port", "0"]) == 1
    assert f"There is no model folder in {tmp_path}" in capsys.readouterr().err


def test_models_that_cannot_be_loaded_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{}")
    assert main(["--models", str(tmp_path), "--port", "0"]) == 1
    assert "The model broken cannot be loaded: " in caplog.text
    assert "None of the models" in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, lesson in (
        (["--help"], "/v1/completions"),
        (["serve", "--help"], "config.toml"),
        (["bench", "--help"], "tokens a second"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
        assert lesson in capsys.readouterr().out
