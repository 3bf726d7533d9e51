"""Every table that has a member's id, or a server's, is asked what becomes of it."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Date,
    Enum,
    Float,
    Integer,
    Table,
    insert,
    select,
    update,
)

from bot.database.clock import now
from bot.database.columns import Base, Moment
from bot.database.departures import Departures
from bot.database.holdings import HOLDINGS, MEMBERS, NOBODY, Fate
from bot.database.privacy import Privacy
from bot.database.removals import Removals
from bot.database.reports import Reports
from bot.database.tables import Asked, Guild, Length, Mute, Rating, Report, State, Story
from tests.bot.wishes import queue_of, wish

if TYPE_CHECKING:
    from sqlalchemy import Column
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.database import Database

AKI, BEN = 1_000_000_000_000_000_001, 1_000_000_000_000_000_002
LONG_AGO = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)

_numbers = itertools.count(10)


NAMED = {"choice": "a", "stars": 5, "state": State.TOLD}
PLAIN = ((Moment, LONG_AGO), (Date, LONG_AGO.date()), (Boolean, False))


def value(column: Column[Any]) -> Any:
    """Something that a column takes; a number or words that no other row has."""
    if column.name in NAMED:
        return NAMED[column.name]
    for kind, plain in PLAIN:
        if isinstance(column.type, kind):
            return plain
    if isinstance(column.type, Enum):
        return next(iter(column.type.enum_class or ()))
    number = next(_numbers)
    return number if isinstance(column.type, Integer | Float) else f"words {number}"


def ids(table: Table) -> list[str]:
    """The columns of a table that have a member's id."""
    return [column.name for column in table.columns if column.name in MEMBERS]


async def fill(connection: AsyncConnection, table: Table, **given: Any) -> dict[str, Any]:
    """Write one row into a table, and what it refers to; gives it."""
    row: dict[str, Any] = {}
    for column in table.columns:
        if column.name in given:
            row[column.name] = given[column.name]
        elif column.foreign_keys and not column.nullable:
            (key,) = column.foreign_keys
            other = await fill(connection, key.column.table)
            row[column.name] = other[key.column.name]
        elif column.foreign_keys:
            row[column.name] = None
        else:
            row[column.name] = value(column)
    await connection.execute(insert(table).values(**row))
    return row


async def rows(database: Database, table: Table) -> list[dict[str, Any]]:
    async with database.engine.connect() as connection:
        return [dict(row) for row in (await connection.execute(select(table))).mappings()]


def test_every_column_with_a_members_id_is_exported_and_forgotten() -> None:
    named = {(holding.column.class_.__tablename__, holding.column.key) for holding in HOLDINGS}
    there = {(table.name, name) for table in Base.metadata.sorted_tables for name in ids(table)}
    assert named == there
    assert len(named) == len(HOLDINGS) == len({holding.name for holding in HOLDINGS})


def test_no_column_hides_a_members_id_under_another_name() -> None:
    """What has a number of Discord's is a member's, or it is one of these."""
    others = {
        "guild_id",
        "channel_id",
        "thread_of",
        "message_id",
        "interaction_id",
        "press_id",
        "seed",
        "id",
        "wish",
        "server",  # minus a member's id in private messages, but only while they wait
    }
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, BigInteger) and not column.foreign_keys:
                assert column.name in {*others, *MEMBERS}, f"{table.name}.{column.name}"


async def forget(privacy: Privacy, member_id: int, *, words: bool) -> None:
    for holding in HOLDINGS:
        if holding.fate is Fate.STORY:
            while await privacy.forget_stories(member_id, words=words):
                pass
        elif holding.column is Rating.member_id:
            while await privacy.forget_ratings(member_id):
                pass
        else:
            while await privacy.forget_some(holding, member_id):
                pass


@pytest.mark.parametrize("words", [True, False])
async def test_a_deletion_leaves_the_member_in_no_table(database: Database, words: bool) -> None:
    tables = [table for table in Base.metadata.sorted_tables if ids(table)]
    async with database.engine.begin() as connection:
        for table in tables:
            for name, member in itertools.product(ids(table), (AKI, BEN)):
                await fill(connection, table, **{name: member})
    privacy = Privacy(database.sessions)
    before = {table: await rows(database, table) for table in tables}
    for holding in HOLDINGS:
        (mine,) = await privacy.page(holding, AKI, 0)
        assert mine.keys() == {column.key for column in holding.given}
        assert not {"answer_token", "answer_until"} & mine.keys()
        assert str(BEN) not in str(mine)
        assert await privacy.page(holding, AKI, 1) == []
    await forget(privacy, AKI, words=words)
    for table in tables:
        now_there = await rows(database, table)
        assert str(AKI) not in str(now_there), table.name
        # Of the other member everything is as it was.
        kept = [row for row in before[table] if BEN in row.values()]
        assert kept
        assert [row for row in now_there if BEN in row.values()] == kept
    for holding in HOLDINGS:
        assert await privacy.page(holding, AKI, 0) == []


async def test_what_limits_need_stays_until_it_is_over(database: Database) -> None:
    moment = now()
    yesterday, tomorrow = moment - dt.timedelta(days=1), moment + dt.timedelta(days=1)
    async with database.engine.begin() as connection:
        for at in (yesterday, moment):
            await fill(connection, Asked.__table__, member_id=AKI, guild_id=1, day=at.date())  # type: ignore[arg-type]
        for server, until in ((1, yesterday), (2, tomorrow)):
            await fill(connection, Mute.__table__, member_id=AKI, guild_id=server, until=until)  # type: ignore[arg-type]
    await forget(Privacy(database.sessions), AKI, words=True)
    asked = await rows(database, Asked.__table__)  # type: ignore[arg-type]
    mutes = await rows(database, Mute.__table__)  # type: ignore[arg-type]
    assert [row["day"] for row in asked] == [moment.date()]
    assert [row["until"] for row in mutes] == [tomorrow]


async def told(database: Database, member: int, **changes: Any) -> int:
    """A story that was told and shown."""
    queue = queue_of(database, per_member=1000, per_server=1000)
    story = await queue.enqueue(wish(member, **changes))
    taken = await queue.claim("me", only=[story.id])
    assert taken is not None
    await queue.told(story, "me", " went on.", 3)
    await queue.shown(story.id, State.TOLD)
    return story.id


async def story(database: Database, story_id: int) -> Story:
    async with database.sessions() as session:
        found = await session.get(Story, story_id)
        assert found is not None
        return found


async def test_a_story_loses_its_name_or_its_words_too(database: Database) -> None:
    privacy = Privacy(database.sessions)
    for words in (False, True):
        shared = await told(database, AKI, prompt="My own", answer_token="a token")
        private = await told(database, AKI, prompt="My own", private=True)
        assert {s.id for s in await privacy.forget_stories(AKI, words=words)} == {shared, private}
        kept = await story(database, shared)
        assert kept.member_id == NOBODY
        assert (kept.prompt, kept.text) == (("", "") if words else ("My own", " went on."))
        assert (kept.removed_at is not None) is words
        gone = await story(database, private)
        assert (gone.prompt, gone.text, gone.member_id) == ("", "", NOBODY)
        assert gone.removed_at is not None


async def test_what_waits_is_left_to_who_calls_it_off(database: Database) -> None:
    privacy = Privacy(database.sessions)
    waiting = await queue_of(database).enqueue(wish(AKI))
    assert [s.id for s in await privacy.unfinished(AKI)] == [waiting.id]
    assert await privacy.forget_stories(AKI, words=True) == []
    await queue_of(database).cancel(waiting.id, AKI)
    assert [s.id for s in await privacy.forget_stories(AKI, words=True)] == [waiting.id]


async def test_a_saga_does_not_go_on_for_a_member_who_is_forgotten(database: Database) -> None:
    queue = queue_of(database)
    story = await queue.enqueue(wish(AKI, length=Length.SAGA))
    assert await queue.claim("bot") is not None
    assert await queue.told(story, "bot", "there was a fox", 4) is not None
    await Privacy(database.sessions).forget_stories(AKI, words=False)
    await queue.shown(story.id, State.TOLD)
    assert await queue.live() == {}


async def test_no_saga_goes_on_from_a_part_whose_words_are_gone(database: Database) -> None:
    queue, privacy = queue_of(database), Privacy(database.sessions)
    for gone in (False, True):
        saga = await queue.enqueue(wish(AKI, length=Length.SAGA))
        await queue.claim("me", only=[saga.id])
        await queue.told(saga, "me", " went on.", 3)
        if gone:
            await privacy.forget_stories(AKI, words=True)
        await queue.shown(saga.id, State.TOLD)
        left = await privacy.unfinished(AKI) + await privacy.unfinished(NOBODY)
        assert [part.parent_id for part in left] == ([] if gone else [saga.id])
        for part in left:
            await queue.cancel(part.id, AKI)
            await queue.shown(part.id, State.CANCELLED)


async def test_copies_of_a_members_words_are_found_and_those_that_came_first_are_told_apart(
    database: Database,
) -> None:
    bens = await told(database, BEN, prompt="Both", house_opening=False)
    await told(database, AKI, prompt="Both", house_opening=False)
    await told(database, AKI, prompt="Mine", house_opening=False)
    await told(database, AKI, prompt="The house's")
    copy = await told(database, BEN, prompt="Mine", house_opening=False)
    await told(database, BEN, prompt="Other", house_opening=False)
    await told(database, BEN, prompt="The house's")
    privacy = Privacy(database.sessions)
    assert await privacy.last_story() == copy + 2
    assert sorted(await privacy.copies(AKI, 0)) == [(bens, "Both", True), (copy, "Mine", False)]
    assert await privacy.copies(AKI, copy) == []
    (blanked,) = await privacy.blank([copy])
    assert (blanked.prompt, blanked.text, blanked.member_id) == ("", " went on.", BEN)


async def test_stars_that_are_taken_back_leave_the_sums_right(database: Database) -> None:
    rated = await told(database, BEN)
    async with database.sessions.begin() as session:
        for member, stars in ((AKI, 5), (3, 2), (4, None)):
            session.add(Rating(story_id=rated, member_id=member, stars=stars, rated_at=now()))
        row = await session.get(Story, rated)
        assert row is not None
        row.votes, row.stars = 2, 7
    privacy = Privacy(database.sessions)
    assert await privacy.forget_ratings(AKI) == 1
    assert await privacy.forget_ratings(AKI) == 0
    assert await privacy.forget_ratings(4) == 1
    left = await story(database, rated)
    assert (left.votes, left.stars) == (1, 2)


async def forget_server(database: Database, guild_id: int) -> None:
    departures = Departures(database.sessions)
    while await departures.forget_some(guild_id):
        pass


async def test_a_server_that_sent_the_bot_away_is_in_no_table_afterwards(
    database: Database,
) -> None:
    tables = [table for table in Base.metadata.sorted_tables if "guild_id" in table.columns]
    tables.remove(Asked.__table__)  # type: ignore[arg-type]  # its rows go after two days
    assert len(tables) > 5
    async with database.engine.begin() as connection:
        for table, server in itertools.product(tables, (71, 72)):
            await fill(connection, table, guild_id=server)
    before = {table: await rows(database, table) for table in tables}
    await forget_server(database, 71)
    for table in tables:
        assert await rows(database, table) == [r for r in before[table] if r["guild_id"] != 71]


async def test_a_server_is_due_after_the_grace_period_and_not_when_it_came_back(
    database: Database,
) -> None:
    departures = Departures(database.sessions)
    await departures.joined([1, 2, 3])
    await departures.joined([3, 4])
    assert await departures.known() == {1, 2, 3, 4}
    await departures.left([1, 2])
    assert await departures.known() == {3, 4}
    assert await departures.due(30) is None
    async with database.sessions.begin() as session:
        for server in (1, 2):
            row = await session.get(Guild, server)
            assert row is not None
            row.left_at = now() - dt.timedelta(days=31)
    await departures.left([1])  # it stays as long ago as it was
    await departures.joined([2])
    assert await departures.due(30) == 1
    await forget_server(database, 1)
    assert await departures.due(30) is None
    assert await departures.known() == {2, 3, 4}


async def test_a_server_that_came_back_meanwhile_keeps_its_row(database: Database) -> None:
    await Departures(database.sessions).joined([1])
    await forget_server(database, 1)
    assert await Departures(database.sessions).known() == {1}


async def rate_all(database: Database, member: int, stories: list[int]) -> None:
    """Rows that lie in the order in which the stories are given."""
    async with database.engine.begin() as connection:
        await connection.execute(
            insert(Rating),
            [
                {"story_id": i, "member_id": member, "stars": 5, "press_id": 1, "rated_at": now()}
                for i in stories
            ],
        )


async def test_deletions_beside_each_other_wait_for_no_one_for_ever(database: Database) -> None:
    """Two members', a moderator's and a server's, over the same rows in opposite orders."""
    privacy, removals = Privacy(database.sessions), Removals(database.sessions)
    queue = queue_of(database, per_member=1000, per_server=1000, waiting=1000)
    wishes = [wish(AKI if n % 2 else BEN, prompt="The same") for n in range(60)]
    stories = [(await queue.enqueue(one)).id for one in wishes]
    async with database.sessions.begin() as session:
        over = {"state": State.TOLD, "ended_at": now(), "shown_at": now(), "told_at": now()}
        await session.execute(update(Story).values(votes=2, stars=10, **over))
    await rate_all(database, AKI, stories)
    await rate_all(database, BEN, stories[::-1])
    for member, order in ((AKI, stories), (BEN, stories[::-1])):
        for story_id in order:
            await Reports(database.sessions).add(story_id, 10, member, "rude")

    async def remove() -> None:
        for story_id in stories[::-1]:
            await removals.remove(story_id, moderator_id=7)

    await asyncio.gather(
        *(forget(privacy, member, words=True) for member in (AKI, BEN)),
        *(privacy.blank(order) for order in (stories, stories[::-1])),
        remove(),
        forget_server(database, 10),
    )
    for table in (Story, Rating, Report):
        assert await rows(database, table.__table__) == []  # type: ignore[arg-type]
