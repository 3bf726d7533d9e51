"""Who works on a PostgreSQL database: locks that live as long as the connection that took them.

One bot alone has the whole database. Of several processes of one bot each has its shards, a lock
for each, and its name on the connection that holds them: so everybody sees which shards are
served, and by whom, and of whom nothing is left.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from bot.database.connection import CUT_OFF, make_engine, not_opened, without_password
from bot.database.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

    from bot.config import Shards

_log = logging.getLogger(__name__)

# Any numbers will do as long as every Kataribe uses the same.
SOLE_LOCK = 0x6B6174617269
SHARDS, BOTS, PAUSES = 0x6B617461, 0x6B617462, 0x6B617463
"""The first halves of locks: of a shard, of a bot's name, and of who wants nothing to be begun."""
_SETTLING = 0
"""Of whoever looks who else is there, and comes; no shard has this number."""

AGAIN = 1.0
"""Seconds until a server that is away is asked again."""
HANDED_OVER_WITHIN = 20.0
"""Seconds in which a process that was told to stop lets go of its shards, or is ended. Who gives up
sooner begins anew, and all that it had made ready is made once more while nobody serves them."""
LOOKED_EVERY = 0.25
"""Seconds between two looks whether it has."""
ASKED_EVERY, ANSWERS_WITHIN = 5.0, 10.0
"""Seconds after which the server is asked whether it is still there, and that it has to answer."""
_NAMED = text(
    "SELECT set_config('application_name', :owner, false), "
    + ", ".join(f"set_config('{name}', '{value}', false)" for name, value in CUT_OFF.items())
)
"""Whose the connection is, and when it is given up. A pooler refuses such settings at the start of
a connection, before it can be said that it is one."""
_GHOSTS_ENDED = text("""
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE application_name = :owner AND pid <> pg_backend_pid()
""")
"""Earlier connections of ours, of whose end the server has not heard."""

_HELD = """
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 2
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_HOLDERS = text(
    "SELECT classid::bigint AS class, objid::bigint AS number, application_name AS owner"
    f"{_HELD} AND classid IN ({SHARDS}, {BOTS}) AND objid <> {_SETTLING} "
    "AND pid <> pg_backend_pid()"
)
_PAUSED = text(f"SELECT count(*) {_HELD} AND classid = {PAUSES}")
_RESUMED = text(f"SELECT pg_terminate_backend(pid, 1000) {_HELD} AND classid = {PAUSES}")


@dataclass(frozen=True, slots=True)
class Member:
    """One of the processes of a bot."""

    owner: str
    """Its name, as in the leases."""
    shards: Shards
    bot: str
    """What all its processes have in common, and no other bot has."""


class ServedError(DatabaseError):
    """Another process serves a shard that this one wants."""


async def served(connection: AsyncSession | AsyncConnection) -> dict[tuple[int, int], str]:
    """Which shards processes serve, as (number, of how many), with the owner's name."""
    rows = (await connection.execute(_HOLDERS)).all()
    return {_shard(row.number): row.owner or "" for row in rows if getattr(row, "class") == SHARDS}


async def paused(connection: AsyncConnection) -> bool:
    """Whether some process wants nothing to be begun."""
    return bool(await connection.scalar(_PAUSED))


async def pause(connection: AsyncConnection) -> None:
    """Want nothing to be begun, as long as the connection lives."""
    await _said(connection, f"SELECT pg_advisory_lock_shared({PAUSES}, 1)")


async def resume(session: AsyncSession) -> None:
    """End all that was wanted so, whoever did, by ending their connections."""
    await session.execute(_RESUMED)


def _number(shard: int, total: int) -> int:
    return total << 14 | shard  # there are 2^14 shards at most


def _shard(number: int) -> tuple[int, int]:
    return number & (1 << 14) - 1, number >> 14


@asynccontextmanager
async def server_held(
    url: str, name: str, member: Member | None
) -> AsyncIterator[Callable[[], Coroutine[Any, Any, object]]]:
    """Hold a database, or the shards of one of several processes; see `bot.database.lock`.

    `name`: this process's, and no other's that ever was.
    """
    given = {"timeout": ANSWERS_WITHIN, "command_timeout": ANSWERS_WITHIN}
    engine = make_engine(url, poolclass=NullPool, connect_args=given)
    async with AsyncExitStack() as opened:
        opened.push_async_callback(engine.dispose)
        held = await opened.enter_async_context(AsyncExitStack())
        try:
            lost = await _take_when_let(engine, held, name, member)
        except (SQLAlchemyError, OSError) as error:
            raise not_opened(engine, error) from error

        async def watch() -> None:
            nonlocal lost
            while True:
                await lost()
                _log.warning("The database's server has let go of our lock; taking it again")
                try:
                    await held.aclose()
                    lost = await _take_when_let(engine, held, name, member)
                except (SQLAlchemyError, OSError) as error:
                    _log.warning("The database cannot be reached: %s", error)
                    await asyncio.sleep(AGAIN)

        yield watch


async def _take_when_let(
    engine: AsyncEngine, held: AsyncExitStack, name: str, member: Member | None
) -> Callable[[], Coroutine[Any, Any, None]]:
    """Take what is wanted; where another process is about to stop, when it has."""
    loop = asyncio.get_running_loop()
    patience = loop.time() + HANDED_OVER_WITHIN
    waits = False
    while True:
        try:
            return await _take(engine, held, name, member)
        except ServedError as error:
            await held.aclose()
            if loop.time() >= patience:
                raise
            if not waits:
                who, _, _ = str(error).rpartition(": ")
                _log.info("%s: it has %.0f s to stop", who, HANDED_OVER_WITHIN)
                waits = True
            await asyncio.sleep(LOOKED_EVERY)


async def _take(
    engine: AsyncEngine, held: AsyncExitStack, name: str, member: Member | None
) -> Callable[[], Coroutine[Any, Any, None]]:
    """Take locks on a connection that `held` keeps; gives what returns when it is lost."""
    connection = await held.enter_async_context(engine.connect())
    await connection.execution_options(isolation_level="AUTOCOMMIT")
    gone = asyncio.Event()
    driver: Any = (await connection.get_raw_connection()).driver_connection
    driver.add_termination_listener(lambda _: gone.set())
    await refuse_a_pooler(connection, engine)
    await connection.execute(_NAMED, {"owner": name})
    await connection.execute(_GHOSTS_ENDED, {"owner": name})
    shared = "" if member is None else "_shared"
    if not await connection.scalar(
        text(f"SELECT pg_try_advisory_lock{shared}(:lock)"), {"lock": SOLE_LOCK}
    ):
        raise DatabaseError(
            f"Another bot is running on {without_password(engine)}: stop it first"
            + ("" if member is None else ", or give it some shards as well")
        )
    if member is not None:
        await _join(connection, member, without_password(engine))

    async def lost() -> None:
        while not gone.is_set():
            try:
                async with asyncio.timeout(ASKED_EVERY):
                    await gone.wait()
            except TimeoutError:
                try:
                    await connection.scalar(text("SELECT 1"))
                except (SQLAlchemyError, OSError):
                    driver.terminate()  # a connection may die in silence

    return lost


async def refuse_a_pooler(connection: AsyncConnection, engine: AsyncEngine) -> None:
    """See that the server itself is at the other end.

    Raises:
        DatabaseError: A pooler is.
    """
    driver: Any = (await connection.get_raw_connection()).driver_connection
    if await connection.scalar(text("SELECT pg_backend_pid()")) != driver.get_server_pid():
        raise DatabaseError(
            f"PostgreSQL is behind a pooler at {without_password(engine)}, which may give our lock "
            "to others: let [database] url name the server itself, and [database] pooler this one"
        )


async def _join(connection: AsyncConnection, member: Member, database: str) -> None:
    """Take one's shards beside others'.

    Raises:
        ServedError: One of them is another's.
        DatabaseError: Others are no processes of this bot, or count its shards otherwise.
    """
    # One looks after the other: of two who come at once the second sees the first.
    settling = {"half": SHARDS, "other": _SETTLING}
    await _said(connection, "SELECT pg_advisory_lock(:half, :other)", **settling)
    bot = zlib.crc32(member.bot.encode()) & 0x7FFF_FFFF | 1  # never 0
    rows = (await connection.execute(_HOLDERS)).all()
    if any(getattr(row, "class") == BOTS and row.number != bot for row in rows):
        raise DatabaseError(f"Another bot, of another token, runs on {database}: give each its own")
    total = member.shards.total
    for (shard, others), owner in (await served(connection)).items():
        if others != total:
            raise DatabaseError(
                f"{owner} counts {others} shards of this bot, and this process {total}: "
                "all must count the same"
            )
        if shard in member.shards.numbers:
            raise ServedError(
                f"Shard {shard} of {total} is served by {owner}: stop it, or give each its own"
            )
    await _said(connection, "SELECT pg_advisory_lock_shared(:half, :other)", half=BOTS, other=bot)
    for shard in member.shards.numbers:
        mine = {"half": SHARDS, "other": _number(shard, total)}
        await _said(connection, "SELECT pg_advisory_lock(:half, :other)", **mine)
    await _said(connection, "SELECT pg_advisory_unlock(:half, :other)", **settling)


async def _said(connection: AsyncConnection, statement: str, **given: object) -> None:
    await connection.execute(text(statement), given)
