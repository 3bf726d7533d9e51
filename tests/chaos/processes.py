"""The bot and the generator as processes that die, are stopped, and are started again."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGTERM, Signals
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from typing import Any

    from tests.chaos.history import History

START_WITHIN = 120.0
STOP_WITHIN = 20.0
FAILURE = 1
"""The status of a bot that cannot run now."""
SIGNALLED_EVERY = 15.0
"""Seconds: a second signal would end the bot at once, whatever it has still to give back."""
AGAIN = 1.0
"""Seconds after which whoever watches over a process starts it again."""


class Watched:
    """A process that is started again whenever it ends, as systemd would."""

    def __init__(
        self,
        name: str,
        arguments: list[str],
        environment: dict[str, str],
        history: History,
        *,
        folder: Path | None = None,
        enter: Sequence[str] = (),
    ) -> None:
        """Prepare it.

        Args:
            name: What it is called in the history and by its log.
            arguments: Python's.
            environment: What is added to this process's.
            history: Where its ends and beginnings are noted.
            folder: Where it runs; None: here.
            enter: What is said before its command, as to run it on another machine.
        """
        self._enter = enter
        self._folder = folder
        self.name = name
        self.history = history
        self._arguments = arguments
        self._environment = os.environ | environment
        self._process: Process | None = None
        self._successor: Process | None = None
        """Waits for what this one has, and takes its place when it ends."""
        self._succeeded = asyncio.Event()
        self._log = history.path.with_name(f"{name}.log")
        self._expected = False
        """It was told to end, so that it ends is no wonder."""
        self._holds = 0
        self._may_start = asyncio.Event()
        self._may_start.set()
        self._gone = asyncio.Event()
        self._gone.set()
        self.ready = asyncio.Event()
        self.greeting = ""
        self.endings: list[int] = []
        """Statuses of the ends that nobody asked for."""

    async def run(self) -> None:
        """Keep it running until cancelled; then it is told to stop, and killed if it does not."""
        try:
            while True:
                await self._may_start.wait()
                self._gone.clear()
                await self._start()
                assert self._process is not None
                status = await self._process.wait()
                self._gone.set()
                was_ready = self.ready.is_set()
                self.ready.clear()
                self.history.add("process", name=self.name, did="ended", status=status)
                # At a start it may find that it cannot run, says why, and is started again.
                if not self._expected and (was_ready or status != FAILURE):
                    self._ended_by_itself(status)
                if self._successor is None:
                    await asyncio.sleep(AGAIN)
        finally:
            await self._stop()

    async def _start(self) -> None:
        self._process, self._successor = self._successor or await self._spawned(), None
        self._expected = False
        self.history.add("process", name=self.name, did="started")
        assert self._process.stdout is not None
        async with asyncio.timeout(START_WITHIN):
            greeting = (await self._process.stdout.readline()).decode()
        if greeting:
            self.greeting = greeting
            self.ready.set()
            self.history.add("process", name=self.name, did="ready")
        self._succeeded.set()

    async def _spawned(self) -> Process:
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *self._enter,
                sys.executable,
                *self._arguments,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._environment,
                cwd=self._folder,
            )

    async def hand_over(
        self, comes: Callable[[int], Coroutine[Any, Any, None]], within: float
    ) -> None:
        """Start its successor, and tell it to end when that one waits for what it has.

        One that does not come, as among other faults, is given up.

        Args:
            comes: Waits until the process of that id does.
            within: Seconds that it should take, from one's being told to the other's being there.
        """
        successor = await self._spawned()
        coming = asyncio.create_task(comes(successor.pid))
        ending = asyncio.create_task(successor.wait())
        await asyncio.wait(
            {coming, ending}, timeout=START_WITHIN, return_when=asyncio.FIRST_COMPLETED
        )
        if not coming.done() or self.pid is None:
            coming.cancel()
            with suppress(ProcessLookupError):
                successor.kill()
            await ending
            return
        coming.result()
        self._successor = successor
        self._succeeded.clear()
        told = self.history.now
        self.signal(SIGTERM)
        await self._succeeded.wait()
        if self.pid == successor.pid:
            took = round(self.history.now - told, 3)
            self.history.add("handed-over", name=self.name, seconds=took, within=within)

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._expected = True
        with suppress(ProcessLookupError):
            process.send_signal(SIGCONT)
            process.send_signal(SIGTERM)
        try:
            async with asyncio.timeout(STOP_WITHIN):
                await process.wait()
        except TimeoutError:
            self.history.add("stuck", name=self.name)
            process.kill()
            await process.wait()

    def _ended_by_itself(self, status: int) -> None:
        self.endings.append(status)
        self.history.add("ended-by-itself", name=self.name, status=status)

    @property
    def address(self) -> str:
        """Where it listens, if it said so."""
        found = re.search(r"http://[^\s]+", self.greeting)
        return found[0] if found else ""

    @property
    def pid(self) -> int | None:
        """Its id, while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def signal(self, number: Signals) -> None:
        """Send it a signal."""
        if self.pid is not None:
            self._expected = self._expected or number in {SIGKILL, SIGTERM}
            self.history.add("process", name=self.name, did=number.name)
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def hold(self, held: bool) -> None:
        """While somebody holds it, it is not started again."""
        self._holds += 1 if held else -1
        (self._may_start.clear if self._holds else self._may_start.set)()

    @asynccontextmanager
    async def down(self, by: Signals) -> AsyncIterator[None]:
        """End it, and keep it from starting until this is left."""
        self.hold(True)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_WITHIN):
                    await self._ended(by)
            if not self._gone.is_set():
                self.history.add("stuck", name=self.name)
                await self._ended(SIGKILL)
            yield
        finally:
            self.hold(False)

    async def _ended(self, by: Signals) -> None:
        """Signal it until it is gone: it may be about to start."""
        while not self._gone.is_set():
            self.signal(SIGCONT)  # who stands still does not hear
            self.signal(by)
            with suppress(TimeoutError):
                async with asyncio.timeout(SIGNALLED_EVERY):
                    await self._gone.wait()

    @property
    def handles(self) -> int:
        """Files and connections that it has open."""
        return 0 if self.pid is None else len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def measure(self, moment: str) -> None:
        """Note what it holds."""
        if self.pid is None:
            return
        of = Path(f"/proc/{self.pid}")
        status = dict(
            line.split(":", 1) for line in (of / "status").read_text().splitlines() if ":" in line
        )
        self.history.add(
            "measured",
            moment=moment,
            name=self.name,
            pid=self.pid,
            rss_kb=int(status["VmRSS"].split()[0]),
            threads=int(status["Threads"]),
            handles=self.handles,
        )
