"""The faults of the database's: its lock, its disk, and what a start of the bot finds."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from signal import SIGKILL, SIGTERM
from typing import TYPE_CHECKING

from alembic import command

from bot.database.connection import make_engine
from bot.database.migrating import schema_change
from bot.database.revisions import alembic_config
from tests.chaos.machine import FULL, READ_ONLY

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Connection

    from tests.chaos.stage import Fault, Stage

LOCKED = 12.0
"""Seconds: longer than the bot waits for a lock."""
TRIES = 40
TO_BE_REFUSED = 6.0
"""Seconds in which a bot that starts comes to look at its database."""
UNKNOWN = "9999"
"""A revision of a Kataribe that is not written yet."""
COMPANIONS = ("", "-wal", "-shm")
"""What SQLite's database consists of, beside its name."""


async def _locked(stage: Stage, _: random.Random, __: float) -> None:
    # Without waiting for the lock: everything else of the run happens in this loop.
    async with stage.alone:
        with closing(sqlite3.connect(stage.database, isolation_level=None, timeout=0)) as locking:
            for _attempt in range(TRIES):
                try:
                    locking.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError:
                    await asyncio.sleep(0.05)  # the bot has it
                else:
                    await asyncio.sleep(LOCKED)
                    locking.execute("ROLLBACK")
                    return


def _disk(error: int) -> Fault:
    async def fault(stage: Stage, rng: random.Random, lasts: float) -> None:
        del rng
        assert stage.machine is not None
        with stage.machine.failing(error):
            await asyncio.sleep(lasts)

    return fault


# What a start finds


@asynccontextmanager
async def _bot_down(stage: Stage, rng: random.Random) -> AsyncIterator[None]:
    async with stage.bot.down(rng.choice((SIGTERM, SIGKILL))):
        yield


async def _missing(stage: Stage, rng: random.Random, lasts: float) -> None:
    """The file is moved away while the bot is down; the bot begins another, which is moved too."""
    async with stage.alone:
        away = stage.database.with_name("away.db")
        async with _bot_down(stage, rng):
            _move(stage.database, away)
        try:
            await stage.bot.ready.wait()
            await asyncio.sleep(lasts)
        finally:
            async with _bot_down(stage, rng):
                _move(
                    stage.database, meanwhile(stage.database, len(seen_meanwhile(stage.database)))
                )
                _move(away, stage.database)
        await stage.bot.ready.wait()


def meanwhile(database: Path, number: int) -> Path:
    """Where the database lies that a bot began while its own was away."""
    return database.with_name(f"meanwhile-{number}.db")


def seen_meanwhile(database: Path) -> list[Path]:
    """Every database that was begun so."""
    return sorted(database.parent.glob("meanwhile-*.db"))


def _move(file: Path, to: Path) -> None:
    for end in COMPANIONS:
        part = file.with_name(file.name + end)
        if part.exists():
            part.rename(to.with_name(to.name + end))


async def _older(stage: Stage, rng: random.Random, _: float) -> None:
    """The database is one that the version before this one wrote."""
    async with stage.alone:
        async with _bot_down(stage, rng):
            engine = make_engine(f"sqlite+aiosqlite:///{stage.database}")
            async with schema_change(engine) as connection:
                await connection.run_sync(_one_back)
            await engine.dispose()
        await stage.bot.ready.wait()


def _one_back(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.downgrade(config, "-1")


async def _newer(stage: Stage, rng: random.Random, lasts: float) -> None:
    """The database is one that a later version wrote, which this one leaves alone."""
    async with stage.alone:
        async with _bot_down(stage, rng):
            (revision,) = _execute(stage, "SELECT version_num FROM alembic_version")
            _execute(stage, "UPDATE alembic_version SET version_num = ?", UNKNOWN)
            stage.history.add("newer", on=True)
        try:
            await asyncio.sleep(max(lasts, TO_BE_REFUSED))
        finally:
            async with _bot_down(stage, rng):
                _execute(stage, "UPDATE alembic_version SET version_num = ?", revision)
                stage.history.add("newer", on=False)
        await stage.bot.ready.wait()


def _execute(stage: Stage, statement: str, *given: str) -> tuple[str, ...]:
    """Say something to the database, which nobody else has open; gives the first row."""
    with closing(sqlite3.connect(stage.database, isolation_level=None)) as connection:
        row: tuple[str, ...] | None = connection.execute(statement, given).fetchone()
        return row or ()


EVERY: dict[str, Fault] = {
    "database-locked": _locked,
    "database-missing": _missing,
    "schema-older": _older,
    "schema-newer": _newer,
    "disk-full": _disk(FULL),
    "disk-read-only": _disk(READ_ONLY),
}
NEED_MACHINE = {"disk-full", "disk-read-only"}
"""Those for which the bot runs under a shim."""
