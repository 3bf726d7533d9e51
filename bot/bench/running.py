"""The bot under measurement: a process of its own, and what it takes of the machine."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

START_WITHIN = 180.0
"""Seconds."""


class BenchError(Exception):
    """The bot under measurement did not start, or did not tell."""


@dataclass(frozen=True, slots=True)
class RunningBot:
    """A bot that is ready."""

    process: asyncio.subprocess.Process
    greeting: str
    """The line with which it said so."""

    def rss_mb(self) -> float | None:
        """Megabytes of memory that it holds; None where the system does not say (only Linux does).

        Of the bot alone: a generator that it started is a process of its own.
        """
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except OSError:
            return None
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)

    def cpu_seconds(self) -> float | None:
        """Seconds of a processor that it has used; None where the system does not say."""
        try:
            # The name, in brackets, may hold anything; user and system time are 14th and 15th.
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def running_bot(folder: Path, **settings: str) -> AsyncIterator[RunningBot]:
    """Start a bot on a database in the folder, wait until it is ready, and end it on leaving.

    Args:
        folder: Thrown away by who made it.
        settings: Such as `QUEUE__WAITING="10000"`; `token` is DISCORD_TOKEN. Without one the bot
            opens a playground.

    Raises:
        BenchError: It did not start.
    """
    environment = {name: value for name, value in os.environ.items() if name != "DISCORD_TOKEN"}
    given = {
        "DATABASE__URL": f"sqlite+aiosqlite:///{folder / 'bench.db'}",
        "PLAYGROUND__PORT": "0",
        "LOG__LEVEL": "WARNING",
        **settings,
    }
    for name, value in given.items():
        environment["DISCORD_TOKEN" if name == "token" else f"KATARIBE_{name}"] = value
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot"),
        stdout=asyncio.subprocess.PIPE,
        env=environment,
        start_new_session=True,  # Ctrl-C is for the bench, which ends its bot in order
    )
    assert process.stdout is not None  # noqa: S101  # asked for above
    try:
        async with asyncio.timeout(START_WITHIN):
            greeting = (await process.stdout.readline()).decode()
        if not greeting:
            raise BenchError("the bot did not start; its log above says why")
        yield RunningBot(process, greeting)
    except TimeoutError as error:
        raise BenchError("the bot did not answer in time") from error
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def until_told_to_stop(measured: Coroutine[Any, Any, dict[str, object]]) -> Any:
    """Measure; SIGTERM ends it as Ctrl-C does, or its bot would outlive it."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # the one that runs this
    with suppress(NotImplementedError):  # on Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await measured
