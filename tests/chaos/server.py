"""A PostgreSQL server on a machine that can die: another one has its address and its disk then."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]

from tests.bot.database.postgresql import somebody
from tests.chaos.seen import TABLES, Kept

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from tests.network import Host

NAME = "kataribe"
"""Of the database, and of the role that bots have."""
SUPERUSER = "host"
LOOK_AGAIN = 0.1
"""Seconds between two looks at who has come."""
ANSWERS_WITHIN = 5.0
AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What is raised where the server cannot be asked now."""


class Server:
    """One server, which has one of two machines for its home."""

    def __init__(self, programs: Path, homes: Sequence[Host]) -> None:
        """Prepare; the homes have the same address, and the first one is where it begins."""
        self._programs = programs
        self._homes = list(homes)
        self._unplugged = ExitStack()
        self.alone = asyncio.Lock()
        """Who has it works on the server's processes or its cable."""
        self.url = f"postgresql+asyncpg://{NAME}:nobodys-password@{self.home.address}/{NAME}"

    @property
    def home(self) -> Host:
        """The machine that it runs on."""
        return self._homes[0]

    @asynccontextmanager
    async def open(self, log: Path) -> AsyncIterator[None]:
        """Start it, empty; its log is there in the end."""
        # A short path: the name of a socket has room for a hundred characters.
        with tempfile.TemporaryDirectory(prefix="kataribe-") as name, self._unplugged:
            self._folder = Path(name)
            self._data = self._folder / "data"
            self._as: list[str] = []
            if os.geteuid() == 0:
                # PostgreSQL refuses to run as root.
                user = somebody()
                os.chown(self._folder, user.pw_uid, user.pw_gid)
                ids = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}")
                self._as = ["setpriv", *ids, "--clear-groups"]
            kind = ("--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "-U", SUPERUSER)
            await self._run("initdb", "-D", self._data, *kind)
            with (self._data / "pg_hba.conf").open("a") as file:
                file.write("host all all samenet trust\n")
            self._unplugged.enter_context(self._homes[1].cut_off())
            await self._start()
            try:
                said = (f"CREATE ROLE {NAME} LOGIN", f"CREATE DATABASE {NAME} OWNER {NAME}")
                where = ("-h", self._folder, "-U", SUPERUSER, "-d", "postgres")
                await self._run("psql", *where, "-qc", said[0], "-c", said[1])
                yield
            finally:
                await self._stop()
                shutil.copy(self._folder / "log", log)

    async def _run(self, program: str, *arguments: str | Path) -> None:
        command = [*self.home.enter, *self._as, self._programs / program, *arguments]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self._folder, stdout=asyncio.subprocess.DEVNULL
        )
        assert await process.wait() == 0, command

    async def _start(self) -> None:
        # It is never the machine's power that fails, so what was written is on the disk.
        options = f"-h {self.home.address} -k {self._folder} -F -c full_page_writes=off"
        log = self._folder / "log"
        await self._run("pg_ctl", "-D", self._data, "-l", log, "-o", options, "-w", "start")

    async def _stop(self) -> None:
        await self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    async def move(self, seconds: float) -> None:
        """Have its machine die, and the other one begin so long afterwards."""
        async with self.alone:
            dead, next_ = self._homes
            with dead.cut_off():
                await self._stop()
                await asyncio.sleep(seconds)
                self._unplugged.close()
                self._homes = [next_, dead]
                self._unplugged.enter_context(dead.cut_off())
            await self._start()

    @asynccontextmanager
    async def standing_still(self) -> AsyncIterator[None]:
        """Stop all its processes meanwhile."""
        async with self.alone:
            processes = list(self._stopped())
            try:
                yield
            finally:
                for process in reversed(processes):
                    with suppress(ProcessLookupError):
                        os.kill(process, SIGCONT)

    def _stopped(self) -> Iterator[int]:
        """Stop its processes; first the one that starts the others, or there would be more."""
        first = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(first, SIGSTOP)
        yield first
        for other in Path(f"/proc/{first}/task/{first}/children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(other), SIGSTOP)
                yield int(other)

    @asynccontextmanager
    async def full(self) -> AsyncIterator[None]:
        """Have every connection that it grants meanwhile; the bots' are taken from them."""
        async with self.alone:
            taken: list[Any] = []
            try:
                await self._take(taken)
                ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1"
                await taken[0].fetch(ended, NAME)
                await self._take(taken)
                yield
            finally:
                for connection in taken:
                    connection.terminate()

    async def _take(self, taken: list[Any]) -> None:
        while True:
            try:
                taken.append(await self._connected())
            except asyncpg.TooManyConnectionsError:
                return

    async def come(self, process: int) -> None:
        """Wait until the bot of that process wants its shards: its name stands there then."""
        query = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE $1"
        while True:
            with suppress(*AWAY):
                if await self._rows(query, f"%:{process}:%"):
                    return
            await asyncio.sleep(LOOK_AGAIN)

    async def left(self, there: set[int]) -> int:
        """Stories whose last word does not stand in the channel; elsewhere, those that wait."""
        query = "SELECT guild_id, state IN ('queued', 'telling') AS waits FROM stories"
        try:
            rows = await self._rows(f"{query} WHERE shown_at IS NULL")
        except AWAY:
            return 1  # there is one, as long as nobody knows
        return sum(row["waits"] or row["guild_id"] in there for row in rows)

    async def kept(self) -> Kept:
        """What it holds."""
        stories, ratings, duels, duel_votes = [
            [dict(row) for row in await self._rows(f"SELECT * FROM {table}")]  # noqa: S608
            for table in TABLES
        ]
        return Kept(stories, ratings, duels, duel_votes)

    async def _rows(self, query: str, *given: str) -> list[Any]:
        connection = await self._connected()
        try:
            rows: list[Any] = await connection.fetch(query, *given, timeout=ANSWERS_WITHIN)
        finally:
            connection.terminate()
        return rows

    async def _connected(self) -> Any:
        return await asyncpg.connect(
            host=str(self._folder), user=SUPERUSER, database=NAME, timeout=ANSWERS_WITHIN
        )
