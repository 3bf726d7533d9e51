"""Opening the database, and what its repositories keep."""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
import sys
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, StatementError

from bot.database import DatabaseError, open_database
from bot.database.guilds import Guilds
from bot.database.ratings import NotToldError, OwnStoryError, Ratings, Stars
from bot.database.stories import Stories
from bot.database.tables import Audit, Rating, Story
from tests.bot.wishes import queue_of, ratings_of, wish

if TYPE_CHECKING:
    from pathlib import Path

    from bot.database import Database

on_sqlite = pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)


async def told(database: Database, member: int = 1, parent_id: int | None = None) -> Story:
    queue = queue_of(database)
    story = await queue.enqueue(wish(member, parent_id=parent_id))
    await queue.claim("bot")
    saved = await queue.told(story, "bot", " 1990.", 3)
    assert saved is not None
    await queue.shown(saved.id, saved.state)
    return saved


async def voted(ratings: Ratings, story_id: int, *press: int) -> tuple[int | None, Stars]:
    """The member's vote after a press, and what the story has then."""
    return await ratings.rate(story_id, *press), await ratings.stars(story_id)


@on_sqlite
async def test_sqlite_is_safe_and_readers_never_wait(database: Database) -> None:
    async with database.engine.connect() as connection:
        pragmas = {
            name: (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    full = 2
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
    }


@on_sqlite
async def test_a_writer_in_another_process_is_waited_for(
    database: Database, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "kataribe.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        enqueueing = asyncio.create_task(queue_of(database).enqueue(wish()))
        # Reading goes on meanwhile, and the write has not given up.
        assert await queue_of(database).positions() == {}
        assert not enqueueing.done()
        other.execute("COMMIT")
    assert (await enqueueing).id == 1
    other.close()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"this is not a database" * 50, "file is not a database"), (None, "unable to open")],
)
async def test_a_database_that_cannot_be_opened_is_one_sentence(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    file = tmp_path / "kataribe.db"
    if content is None:
        file = tmp_path / "nowhere" / "kataribe.db"
    else:
        file.write_bytes(content)
    with pytest.raises(DatabaseError, match=sentence) as raised:
        async with open_database(f"sqlite+aiosqlite:///{file}"):
            pass
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    monkeypatch.delitem(sys.modules, "sqlalchemy.dialects.postgresql.asyncpg", raising=False)

    async def open_it() -> None:
        async with open_database("postgresql+asyncpg://kataribe@127.0.0.1:1/kataribe"):
            pass

    with pytest.raises(DatabaseError, match="asyncpg"):
        asyncio.run(open_it())


async def test_a_time_comes_back_in_utc_and_one_without_a_zone_is_refused(
    database: Database,
) -> None:
    tokyo = dt.timezone(dt.timedelta(hours=9))
    moment = dt.datetime(2026, 1, 1, 9, tzinfo=tokyo)
    async with database.sessions.begin() as session:
        session.add(Audit(guild_id=1, moderator_id=2, act="test", detail="", at=moment))
    async with database.sessions() as session:
        kept = (await session.scalars(select(Audit.at))).one()
    assert (kept, kept.utcoffset()) == (moment, dt.timedelta(0))
    async with database.sessions() as session:
        naive = moment.replace(tzinfo=None)
        session.add(Audit(guild_id=1, moderator_id=2, act="test", detail="", at=naive))
        with pytest.raises(StatementError, match="has no time zone"):
            await session.flush()


async def test_a_story_removed_takes_its_ratings_and_its_id_with_it(database: Database) -> None:
    story = await told(database)
    await ratings_of(database).rate(story.id, 2, 5, 1)
    follower = await told(database, parent_id=story.id)
    async with database.sessions.begin() as session:
        await session.delete(await session.get_one(Story, follower.id))
        await session.delete(await session.get_one(Story, story.id))
    async with database.sessions() as session:
        assert (await session.scalars(select(Rating))).all() == []
    assert (await told(database)).id > follower.id


async def test_a_story_outlives_the_one_it_continues(database: Database) -> None:
    parent = await told(database)
    child = await told(database, parent_id=parent.id)
    async with database.sessions.begin() as session:
        await session.delete(await session.get_one(Story, parent.id))
    kept = await Stories(database.sessions).get(child.id)
    assert kept is not None
    assert kept.parent_id is None


async def test_a_thread_is_the_story_and_what_it_follows(database: Database) -> None:
    stories = Stories(database.sessions)
    chain = [await told(database)]
    for _ in range(4):
        chain.append(await told(database, parent_id=chain[-1].id))
    assert [part.id for part in await stories.thread(chain[-1])] == [part.id for part in chain]
    assert [part.id for part in await stories.thread(chain[-1], depth=2)] == [
        part.id for part in chain[-3:]
    ]
    assert [part.id for part in await stories.thread(chain[0])] == [chain[0].id]
    assert await stories.get(10**6) is None


async def test_a_member_has_one_vote_and_may_change_it(database: Database) -> None:
    ratings = ratings_of(database)
    story = await told(database, member=1)
    assert await ratings.stars(story.id) == Stars(0, 0.0)
    assert await voted(ratings, story.id, 2, 5, 101) == (5, Stars(1, 5.0))
    assert await voted(ratings, story.id, 3, 4, 102) == (4, Stars(2, 4.5))
    assert await voted(ratings, story.id, 2, 2, 103) == (2, Stars(2, 3.0))
    assert await ratings.stars(story.id) == Stars(2, 3.0)


async def test_the_last_press_wins_however_late_an_older_one_comes(database: Database) -> None:
    ratings = ratings_of(database)
    story = await told(database, member=1)
    await ratings.rate(story.id, 2, 5, 2**62)
    for older in (1, 2**62 - 1, 2**62):
        assert await voted(ratings, story.id, 2, 1, older) == (5, Stars(1, 5.0))
    assert await voted(ratings, story.id, 2, 1, 2**62 + 1) == (1, Stars(1, 1.0))


async def test_the_star_one_gave_pressed_again_takes_the_vote_back(database: Database) -> None:
    ratings = ratings_of(database)
    story = await told(database, member=1)
    await ratings.rate(story.id, 3, 3, 100)
    await ratings.rate(story.id, 2, 5, 101)
    assert await voted(ratings, story.id, 2, 5, 102) == (None, Stars(1, 3.0))
    assert await voted(ratings, story.id, 2, 4, 101) == (None, Stars(1, 3.0))
    assert await voted(ratings, story.id, 2, 5, 103) == (5, Stars(2, 4.0))


async def test_a_double_click_is_one_vote(database: Database) -> None:
    ratings = ratings_of(database)
    story = await told(database)
    presses = enumerate((*(1, 2, 3, 4) * 3, 5), start=1)
    await asyncio.gather(*(ratings.rate(story.id, 2, stars, press) for press, stars in presses))
    assert await ratings.stars(story.id) == Stars(1, 5.0)


async def test_nobody_rates_their_own_story_or_one_that_is_not_told(database: Database) -> None:
    ratings = ratings_of(database)
    story = await told(database, member=1)
    with pytest.raises(OwnStoryError):
        await ratings.rate(story.id, 1, 5, 1)
    waiting = await queue_of(database).enqueue(wish())
    for missing in (waiting.id, 10**6):
        with pytest.raises(NotToldError):
            await ratings.rate(missing, 2, 5, 1)
    assert await ratings.stars(story.id) == Stars(0, 0.0)


@pytest.mark.parametrize("stars", [0, 6, -1])
async def test_stars_are_one_to_five(database: Database, stars: int) -> None:
    story = await told(database)
    with pytest.raises(IntegrityError):
        await ratings_of(database).rate(story.id, 2, stars, 1)


async def test_a_servers_model_is_kept_with_who_chose_it(database: Database) -> None:
    guilds = Guilds(database.sessions)
    assert await guilds.model(10) is None
    await guilds.use_model(10, "lstm-starter", 5)
    await guilds.use_model(11, "gpt2-starter", 6)
    await guilds.use_model(10, "gpt2-starter", 7)
    assert await guilds.model(10) == "gpt2-starter"
    await guilds.use_model(10, None, 5)
    assert await guilds.model(10) is None
    async with database.sessions() as session:
        trail = await session.scalars(select(Audit).where(Audit.guild_id == 10).order_by(Audit.id))
        acts = [(act.moderator_id, act.act, act.detail) for act in trail]
    assert acts == [
        (5, "model use", "lstm-starter"),
        (7, "model use", "gpt2-starter"),
        (5, "model use", "default"),
    ]


async def test_who_stands_still_in_a_transaction_holds_nothing_for_long(database: Database) -> None:
    if database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite's writers wait for each other's process")
    async with database.engine.connect() as connection:
        kept = await connection.scalar(text("SHOW idle_in_transaction_session_timeout"))
        cut_off = await connection.scalar(text("SHOW tcp_user_timeout"))
    assert (kept, cut_off) in {("20s", "20s"), ("20s", "0")}  # a socket of the machine's has none
