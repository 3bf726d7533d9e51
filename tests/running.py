"""`python -m bot` as a host runs it: its own process, told by environment, seen from outside."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

START_WITHIN = 120.0
STOP_WITHIN = 20.0


@dataclass
class RunningBot:
    """A started bot."""

    process: asyncio.subprocess.Process
    greeting: str
    """The line that it prints when it is ready."""

    @property
    def address(self) -> str:
        """Where its playground is."""
        found = re.search(r"http://\S+", self.greeting)
        assert found is not None, self.greeting
        return found[0]

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; gives the exit status."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(STOP_WITHIN):
            return await self.process.wait()


@asynccontextmanager
async def running_bot(folder: Path, *arguments: str, **settings: str) -> AsyncIterator[RunningBot]:
    """Start the bot on a database in the folder; settings as `STORIES__MAX_TOKENS="100"`.

    `token` is the one setting that is given as DISCORD_TOKEN; `arguments` are Python's, if not
    `-m bot`.
    """
    environment = os.environ | {
        "KATARIBE_DATABASE__URL": f"sqlite+aiosqlite:///{folder / 'kataribe.db'}",
        "KATARIBE_PLAYGROUND__PORT": "0",
    }
    for name, value in settings.items():
        environment["DISCORD_TOKEN" if name == "token" else f"KATARIBE_{name}"] = value
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(arguments or ("-m", "bot")),
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    assert process.stdout is not None
    bot = None
    try:
        async with asyncio.timeout(START_WITHIN):
            greeting = (await process.stdout.readline()).decode()
        bot = RunningBot(process, greeting)
        assert greeting, "the bot did not start; its log says why"
        yield bot
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
