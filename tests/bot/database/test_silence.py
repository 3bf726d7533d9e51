"""A network that was cut: the server has not heard of the end of what is no more on our side."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from bot.config import Shards
from bot.database import open_database, server_lock
from bot.database.errors import passes
from bot.database.lock import sole_user
from bot.database.server_lock import Member
from bot.silence import GIVEN_UP_WITHIN
from bot.worker import fleet
from bot.worker.bell import Bell
from bot.worker.fleet import Fleet
from tests.bot.database.silence import line_to

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.database import Database

pytestmark = pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)

HERE, BESIDE = (Member(f"machine:{n}", Shards(n, n, 2), "bot") for n in range(2))
HOLDERS = """
    SELECT array_agg(DISTINCT pid ORDER BY pid)
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND usename = current_user AND pid <> pg_backend_pid()
"""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_lock, "ASKED_EVERY", 0.05)
    monkeypatch.setattr(server_lock, "ANSWERS_WITHIN", 0.5)
    monkeypatch.setattr(fleet, "EVERY", 0.01)


async def holders(database: Database) -> list[int]:
    async with database.engine.connect() as connection:
        return list(await connection.scalar(text(HOLDERS)) or [])


@pytest.mark.parametrize("member", [None, HERE])
async def test_who_was_cut_off_ends_its_own_ghost_and_holds_its_lock_again(
    database: Database, database_url: str, member: Member | None
) -> None:
    async with line_to(database_url) as line, sole_user(line.url, member) as watch:
        watching = asyncio.create_task(watch())
        (ghost,) = await holders(database)
        line.go_quiet()
        async with asyncio.timeout(60):
            while await holders(database) in ([], [ghost]):
                assert not watching.done()
        (again,) = await holders(database)
        assert again != ghost
        watching.cancel()
        await asyncio.wait([watching])


async def test_a_bot_that_is_cut_off_looks_again_by_another_connection(
    database: Database, database_url: str
) -> None:
    async with (
        line_to(database_url) as line,
        open_database(line.url) as cut_off,
        sole_user(database_url, BESIDE),
    ):
        looks, beside = Fleet(cut_off, HERE, Bell()), Fleet(database, BESIDE, Bell())
        await looks.look()
        line.go_quiet()
        await beside.pause()
        looking = asyncio.create_task(looks.run())
        await told(looks, paused=True)
        await beside.resume()
        await told(looks, paused=False)
        assert not looking.done()
        looking.cancel()
        await asyncio.wait([looking])


async def told(looks: Fleet, *, paused: bool) -> None:
    """Until its bell rings, and says whether there is a pause."""
    async with asyncio.timeout(60):
        while looks._bell.paused is not paused:
            looks._bell.quiet()
            await looks._bell.wait(asyncio.get_running_loop().time() + 60)


async def test_a_look_that_began_before_a_pause_does_not_end_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Fleet(database, HERE, Bell())
    seen, goes_on = asyncio.Event(), asyncio.Event()

    async def slowly(connection: AsyncConnection) -> bool:
        found = await server_lock.paused(connection)
        seen.set()
        await goes_on.wait()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(fleet, "paused", slowly)
        for asks, is_paused in ((one._bell.pause, True), (one._bell.resume, False)):
            looking = asyncio.create_task(one.look())
            await seen.wait()
            await asks()
            goes_on.set()
            await looking
            assert one._bell.paused is is_paused
            seen.clear()
            goes_on.clear()
    await one.look()
    assert not one._bell.paused
    await one._look_away()


@pytest.mark.parametrize("single", [True, False])
async def test_a_connection_whose_end_is_yet_to_come_is_given_up_for_another(
    database: Database, database_url: str, *, single: bool
) -> None:
    own = select(func.pg_backend_pid().label("pid"))
    async with line_to(database_url) as line, open_database(line.url) as opened:

        async def pid() -> int:
            async with opened.sessions.short(single=single) as transaction:
                (row,) = await transaction.rows(own, {})
                return int(row["pid"])

        before = await pid()
        line.ends = False
        async with database.engine.connect() as connection:
            await connection.execute(select(func.pg_terminate_backend(before, 10_000)))
        await line.last_words.wait()
        for _ in range(10):  # and reach the driver
            await asyncio.sleep(0)
        with pytest.raises(SQLAlchemyError) as raised:
            await pid()
        assert passes(raised.value)
        assert await pid() != before


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has it not")
async def test_the_system_gives_up_a_line_that_is_cut(database_url: str) -> None:
    async with (
        line_to(database_url) as line,
        open_database(line.url) as opened,
        opened.engine.connect() as connection,
    ):
        driver: Any = (await connection.get_raw_connection()).driver_connection
        ours = driver._transport.get_extra_info("socket")
        given_up_after = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert given_up_after == 1000 * GIVEN_UP_WITHIN
