"""The child generator: started, watched, started again, and never left behind."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from bot.worker import generator_process
from bot.worker.generator_process import GeneratorProcess, GeneratorStartError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATIENCE = 20.0
URL = "http://127.0.0.1:4321"
READY = f"print('Kataribe generator ready on {URL} (models: tiny)', flush=True)\n"
UNTIL_PARENT_ENDS = "import sys; sys.stdin.read()\n"


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator_process, "FIRST_PAUSE", 0.01)


@asynccontextmanager
async def running(program: str) -> AsyncIterator[asyncio.Queue[str | None]]:
    """A generator that is this program; gives where it moves."""
    moves: asyncio.Queue[str | None] = asyncio.Queue()
    process = GeneratorProcess(
        moves.put_nowait, start_timeout=PATIENCE, command=[sys.executable, "-c", program]
    )
    async with watched(process):
        yield moves


@asynccontextmanager
async def watched(process: GeneratorProcess) -> AsyncIterator[None]:
    task = asyncio.create_task(process.run())
    try:
        async with asyncio.timeout(PATIENCE):
            yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def held_by(path: Path) -> str:
    """A program's line that holds a lock until it dies."""
    return f"import fcntl; f = open({str(path)!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX)\n"


async def has_died(path: Path) -> None:
    """Wait for the lock's holder to die."""
    with path.open("w") as file:
        async with asyncio.timeout(PATIENCE):
            await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)


async def test_its_address_is_known_when_it_is_ready_and_forgotten_when_it_ends(
    tmp_path: Path,
) -> None:
    lock = tmp_path / "alive"
    async with running(held_by(lock) + READY + UNTIL_PARENT_ENDS) as moves:
        assert await moves.get() == URL
        assert moves.empty()
    assert await moves.get() is None
    await has_died(lock)


async def test_one_that_dies_is_started_again(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    program = f"{READY}open({str(starts)!r}, 'a').write('x'); import os; os._exit(3)\n"
    async with running(program) as moves:
        assert [await moves.get() for _ in range(6)] == [URL, None] * 3
    assert len(starts.read_text()) >= 3


async def test_one_that_never_gets_ready_is_given_up_and_started_again(tmp_path: Path) -> None:
    lock, given_up = tmp_path / "alive", tmp_path / "given up"
    program = (
        held_by(lock) + f"import os\n"
        f"if os.path.exists({str(given_up)!r}): {READY}" + UNTIL_PARENT_ENDS
    )
    moves: asyncio.Queue[str | None] = asyncio.Queue()

    def moved(url: str | None) -> None:
        moves.put_nowait(url)
        if url is None:
            given_up.touch()
            process._start_timeout = PATIENCE  # the next one may be as slow as its machine

    process = GeneratorProcess(moved, start_timeout=1.0, command=[sys.executable, "-c", program])
    async with watched(process):
        assert await moves.get() is None
        assert await moves.get() == URL


async def test_wrong_settings_end_the_bot_with_the_generators_own_sentence() -> None:
    program = "import sys; print('engine.slots takes a whole number'); sys.exit(2)\n"
    process = GeneratorProcess(
        lambda _: None, start_timeout=PATIENCE, command=[sys.executable, "-c", program]
    )
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(GeneratorStartError, match=r"^engine\.slots takes a whole number$"):
            await process.run()


async def test_a_program_that_is_missing_ends_the_bot() -> None:
    process = GeneratorProcess(lambda _: None, start_timeout=1, command=["/nowhere/python"])
    with pytest.raises(GeneratorStartError, match="/nowhere/python"):
        await process.run()


async def test_one_that_does_not_want_to_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator_process, "STOP_WITHIN", 0.1)
    lock = tmp_path / "alive"
    program = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        + held_by(lock)
        + READY
        + "signal.pause()\n" * 3
    )
    async with running(program) as moves:
        assert await moves.get() == URL
    await has_died(lock)


async def test_its_lines_are_logged_as_it_meant_them_however_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    program = (
        "import sys\n"
        "print('2026-11-24 07:30:00,123 WARNING the models are small', file=sys.stderr)\n"
        "print('x' * 200_000); print('\\xff plainly'); print()\n" + READY + UNTIL_PARENT_ENDS
    )
    with caplog.at_level(logging.INFO, logger="generator"):
        async with running(program) as moves:
            await moves.get()
    said = [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "generator"]
    assert ("WARNING", "the models are small") in said
    assert any(message.endswith(" plainly") for _, message in said)
    assert all(message for _, message in said)


async def test_it_is_told_what_it_computes_with_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secrets = (
        *("DISCORD_TOKEN", "KATARIBE_DATABASE__URL", "PGPASSWORD", "POSTGRES_PASSWORD"),
        *("KATARIBE_GENERATOR__API_KEY", "KATARIBE_MODELS__FAR__API_KEY", "kataribe_models__b"),
        *("KATARIBE_ENGINE__API_KEYS", "kataribe_engine__api_keys"),
        *("HF_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "LDAP_PASSWORD"),
    )
    needed = (
        *("KATARIBE_ENGINE__SLOTS", "kataribe_engine__device", "HOME", "LC_ALL", "XDG_CACHE_HOME"),
        *("OMP_NUM_THREADS", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "CUDA_VISIBLE_DEVICES"),
        *("LD_LIBRARY_PATH", "PYTHONPATH", "CXX", "HF_HOME", "NATIVE_ISA"),
    )
    for name in secrets:
        monkeypatch.setenv(name, "crane")
    for name in needed:
        monkeypatch.setenv(name, str(tmp_path))
    told = tmp_path / "told"
    program = (
        "import json, os, pathlib\n"
        f"pathlib.Path({str(told)!r}).write_text(json.dumps(dict(os.environ)))\n"
    )
    async with running(program + READY + UNTIL_PARENT_ENDS) as moves:
        await moves.get()
    environment = json.loads(told.read_text())
    assert environment.keys() >= {*needed, "PATH"}
    assert "crane" not in environment.values()


async def test_it_ends_though_the_bot_is_killed(tmp_path: Path) -> None:
    lock = tmp_path / "alive"
    child = held_by(lock) + READY + UNTIL_PARENT_ENDS
    bot = (
        "import asyncio, sys\n"
        "from bot.worker.generator_process import GeneratorProcess\n"
        f"command = [sys.executable, '-c', {child!r}]\n"
        "moved = lambda url: print(url, flush=True)\n"
        "asyncio.run(GeneratorProcess(moved, start_timeout=20, command=command).run())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", bot, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    assert await parent.stdout.readline() == f"{URL}\n".encode()
    parent.kill()
    await parent.communicate()
    await has_died(lock)
