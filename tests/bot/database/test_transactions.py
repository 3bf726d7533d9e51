"""What goes to PostgreSQL's driver by itself, and a server that closes connections."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import BigInteger, bindparam, literal, select, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError

from bot.database import Database, open_database
from bot.database.connection import _KEPT, make_engine
from bot.database.drivers import KEPT
from bot.database.errors import passes
from bot.database.sessions import Sessions
from bot.database.wishes import Wish
from tests.bot.rows import get
from tests.bot.village import PATIENCE
from tests.bot.wishes import queue_of, wish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.bot.database.postgresql import Server

OTHERS = "FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
GIVEN = select(bindparam("given", type_=BigInteger), literal("a word").label("own"))


@pytest.fixture
async def served(postgresql: Server) -> AsyncIterator[Database]:
    async with open_database(postgresql.new_database()) as opened:
        yield opened


async def test_what_it_gives_is_what_sqlalchemy_reads(served: Database) -> None:
    asked = wish(guild_id=None, private=True, answer_token="a token")
    given = await queue_of(served).enqueue(asked)
    read = await get(served, given.id)
    assert {name: getattr(given, name) for name in Wish.__slots__} == {
        name: getattr(asked, name) for name in Wish.__slots__
    }
    columns = read.__table__.c.keys()
    assert [getattr(given, name) for name in columns] == [getattr(read, name) for name in columns]
    assert [type(getattr(given, name)) for name in columns] == [
        type(getattr(read, name)) for name in columns
    ]


async def test_a_connection_that_the_server_closed_is_nobodys_trouble(served: Database) -> None:
    queue = queue_of(served)
    async with served.engine.connect(), served.engine.connect():
        pass  # from here on the pool has two
    async with served.engine.connect() as last:
        ended = await last.execute(text(f"SELECT pg_terminate_backend(pid, 10000) {OTHERS}"))
        assert ended.scalars().all() == [True]
    assert await queue.enqueue(wish()) is not None
    assert await queue.claim("bot") is not None


async def test_an_error_of_the_drivers_is_one_of_sqlalchemys(served: Database) -> None:
    async def cut_off() -> None:
        async with served.sessions.short() as transaction:
            (row,) = await transaction.rows(GIVEN, {"given": 7})
            assert tuple(row) == (7, "a word")
            async with served.engine.connect() as other:
                await other.execute(text(f"SELECT pg_terminate_backend(pid, 10000) {OTHERS}"))
            await transaction.rows(GIVEN, {"given": 8})

    with pytest.raises((OperationalError, InterfaceError)):
        await cut_off()
    async with served.sessions.short() as transaction:
        assert await transaction.rows(GIVEN, {"given": 9})


async def test_who_waits_for_a_connection_has_the_first_that_is_done_with(
    served: Database,
) -> None:
    async def ask() -> None:
        async with served.sessions.short() as transaction:
            assert await transaction.rows(GIVEN, {"given": 7})

    async with AsyncExitStack() as others, asyncio.timeout(PATIENCE):
        # One is left of the pool's.
        for _ in range(_KEPT["pool_size"] - 1):
            await others.enter_async_context(served.engine.connect())
        await asyncio.gather(*(ask() for _ in range(3)))


async def test_what_is_kept_for_short_transactions_is_had_by_all_where_there_is_no_other(
    served: Database,
) -> None:
    async def ask() -> None:
        async with served.sessions.short() as transaction:
            await transaction.rows(GIVEN, {"given": 7})

    await asyncio.gather(*(ask() for _ in range(KEPT)))
    async with AsyncExitStack() as sessions, asyncio.timeout(PATIENCE):
        for _ in range(_KEPT["pool_size"]):
            session = await sessions.enter_async_context(served.sessions())
            await session.execute(GIVEN, {"given": 7})
    async with asyncio.timeout(PATIENCE):
        await ask()


async def test_who_waits_for_a_session_has_the_connection_of_a_short_transaction(
    served: Database,
) -> None:
    asks = asyncio.Event()

    async def ask() -> None:
        async with served.sessions.short():
            await asks.wait()

    async def read() -> None:
        async with served.sessions() as session:
            asks.set()
            await session.execute(GIVEN, {"given": 7})

    async with AsyncExitStack() as others, asyncio.timeout(PATIENCE):
        for _ in range(_KEPT["pool_size"] - 1):
            await others.enter_async_context(served.engine.connect())
        await asyncio.gather(ask(), read())


async def test_a_connection_that_is_cut_off_in_a_session_is_trouble_that_passes(
    served: Database,
) -> None:
    async def cut_off() -> None:
        async with served.sessions.begin() as session:
            await session.execute(text("SELECT 1"))
            async with served.engine.connect() as other:
                await other.execute(text(f"SELECT pg_terminate_backend(pid, 10000) {OTHERS}"))
            await session.execute(text("SELECT 2"))

    with pytest.raises(DBAPIError) as cut:
        await cut_off()
    assert passes(cut.value)
    with pytest.raises(ProgrammingError) as nonsense:
        async with served.sessions.begin() as session:
            await session.execute(text("SELECT nothing_of_that_name"))
    assert not passes(nonsense.value)


async def test_a_server_that_lets_nobody_in_is_trouble_of_the_databases(
    postgresql: Server,
) -> None:
    engine = make_engine(postgresql.new_database().replace("/postgres?", "/nowhere?"), **_KEPT)
    with pytest.raises(OperationalError, match="nowhere"):
        await queue_of(Database(engine, Sessions(engine), engine)).claim("bot")
    await engine.dispose()
