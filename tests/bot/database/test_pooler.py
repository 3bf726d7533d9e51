"""The bot behind Debian's PgBouncer in transaction mode, which gives nobody a session to keep."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from bot.bench.rows import fill
from bot.bench.steps import Bench, steps
from bot.config import Settings, SettingsError, Shards
from bot.database import DatabaseError, open_database
from bot.database.lock import owner_name, sole_user
from bot.database.reach import Reach
from bot.database.server_lock import Member
from bot.database.tables import State
from bot.hosting.findings import State as Health
from bot.hosting.machine import database as looked_at
from bot.worker.bell import Bell
from bot.worker.fleet import Fleet
from tests.bot.database.pgbouncer import PROGRAM, SESSIONS, pooled
from tests.bot.migrated import migrated_database
from tests.bot.village import village

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.database import Database
    from tests.bot.teller import Teller

pytestmark = [
    pytest.mark.parametrize("new_url", ["postgresql"], indirect=True),
    pytest.mark.skipif(PROGRAM is None, reason="no PgBouncer here (apt install pgbouncer)"),
]

SHARDS = Shards(0, 1, 4)
STORIES = 1300


@pytest.fixture
async def behind(database_url: str) -> AsyncIterator[Database]:
    async with migrated_database(database_url):
        pass
    with pooled(database_url) as pooler:
        async with open_database(database_url, pooler) as opened:
            yield opened


async def test_stories_are_told_through_a_pooler(behind: Database, tells: Teller) -> None:
    behind.sessions.reach = Reach("a", SHARDS, frozenset(SHARDS.numbers))
    async with village(behind, tells.url) as place:
        places = [None, *((n % 2) << 22 for n in range(19))]
        asked = [place.ask(number, guild_id=guild) for number, guild in enumerate(places)]
        numbers = await asyncio.gather(*asked)
        await place.over(*numbers)
        assert {state for _, state in place.wall.endings()} == {State.TOLD}
    async with behind.direct.connect() as connection:
        others = "FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
        through = await connection.scalar(text(f"SELECT count(*) {others}"))
        assert 0 < through <= SESSIONS


async def test_every_statement_of_the_bot_goes_through_it(behind: Database) -> None:
    await fill(behind, STORIES, live=100)
    for step in steps(Bench(behind.sessions, STORIES)):
        await step.take(await step.prepare())


async def test_a_pause_lasts_however_many_transactions_come_through(behind: Database) -> None:
    one = Fleet(behind, Member("a", SHARDS, "bot"), Bell())

    async def looks() -> bool:
        for _ in range(2 * SESSIONS):
            async with behind.sessions() as session:
                await session.execute(text("SELECT 1"))
            await one.look()
        return one._bell.paused

    await one._bell.pause()
    assert await looks()
    await one._bell.resume()
    assert not await looks()
    await one._look_away()


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_no_lock_is_taken_through_a_pooler(
    database_url: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pooled(database_url, mode) as pooler:
        monkeypatch.setenv("KATARIBE_DATABASE__URL", pooler)
        (found,) = [one async for one in looked_at(Settings.load())]
        assert found.state is Health.ILL
        assert "let [database] url name the server itself" in found.advice
        for member in (None, Member(owner_name(), SHARDS, "bot")):
            with pytest.raises(DatabaseError, match="is behind a pooler") as raised:
                async with sole_user(pooler, member):
                    pass
            assert "\n" not in str(raised.value)
            assert "password" not in str(raised.value)


async def test_a_pooler_before_another_database_is_refused(
    database_url: str, new_url: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(new_url)
    with pooled(new_url()) as elsewhere:
        with pytest.raises(DatabaseError, match="leads to another database"):
            async with open_database(database_url, elsewhere):
                pass
        monkeypatch.setenv("KATARIBE_DATABASE__URL", database_url)
        monkeypatch.setenv("KATARIBE_DATABASE__POOLER", elsewhere)
        found = {one.part: one.state async for one in looked_at(Settings.load())}
    assert found["pooler"] is Health.ILL
    monkeypatch.setenv("KATARIBE_DATABASE__URL", "sqlite+aiosqlite:///kataribe.db")
    with pytest.raises(SettingsError, match="takes nothing where url names a file"):
        Settings.load()


async def test_a_pooler_that_is_away_is_named(database_url: str) -> None:
    away = "postgresql+asyncpg://user:password@127.0.0.1:1/name"
    async with migrated_database(database_url):
        pass
    with pytest.raises(DatabaseError) as raised:
        async with open_database(database_url, away):
            pass
    assert str(raised.value) == (
        "[database] pooler, postgresql+asyncpg://user:***@127.0.0.1:1/name, cannot be opened: "
        "Connection refused"
    )
