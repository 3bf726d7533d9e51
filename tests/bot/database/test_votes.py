"""Stars are counted right however many press at once, and only those that count."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from bot.config import Votes
from bot.database.clock import now
from bot.database.ratings import (
    SNOWFLAKES_BEGIN,
    NewAccountError,
    NotToldError,
    OwnStoryError,
    Ratings,
    Stars,
    created_at,
)
from bot.database.tables import Rating, State
from tests.bot.rows import change, get
from tests.bot.wishes import queue_of, ratings_of, wish

if TYPE_CHECKING:
    from bot.database import Database

ASKED = 1
"""The member who asked for the story."""


async def told(database: Database) -> int:
    story = await queue_of(database).enqueue(wish(ASKED))
    await change(database, story.id, state=State.TOLD, told_at=now(), ended_at=now())
    return story.id


async def counted(database: Database, story_id: int) -> tuple[int, int]:
    """What the rows of the votes themselves come to."""
    async with database.sessions() as session:
        query = select(func.count(Rating.stars), func.coalesce(func.sum(Rating.stars), 0))
        row = (await session.execute(query.where(Rating.story_id == story_id))).one()
        return row[0], row[1] or 0


async def test_two_hundred_presses_at_once_end_in_exactly_the_right_count(
    database: Database,
) -> None:
    story_id, ratings = await told(database), ratings_of(database)
    members = range(100, 200)
    first = {member: member % 5 + 1 for member in members}
    second = {member: member % 3 + 1 for member in members}
    presses = [(member, first[member], 1) for member in members]
    presses += [(member, second[member], 2) for member in members]
    async with asyncio.timeout(120):
        await asyncio.gather(*(ratings.rate(story_id, *press) for press in presses))
    # Whichever came first: the second press counts, and takes back what the first one gave if it
    # is the same star and was not late.
    story = await get(database, story_id)
    assert (story.votes, story.stars) == await counted(database, story_id)
    changed = [member for member in members if first[member] != second[member]]
    async with database.sessions() as session:
        votes = {row.member_id: row.stars for row in await session.scalars(select(Rating))}
    assert all(votes[member] == second[member] for member in changed)
    assert story.score == pytest.approx((story.stars + 17.5) / (story.votes + 5))


async def test_two_hundred_members_at_once_are_two_hundred_votes(database: Database) -> None:
    story_id, ratings = await told(database), ratings_of(database)
    async with asyncio.timeout(120):
        await asyncio.gather(*(ratings.rate(story_id, m, m % 5 + 1, m) for m in range(2, 202)))
    assert await ratings.stars(story_id) == Stars(200, 3.0)


async def test_a_story_stands_among_the_best_from_its_third_vote_on(database: Database) -> None:
    story_id, ratings = await told(database), ratings_of(database)
    for member, expected in ((2, None), (3, None), (4, (15 + 17.5) / 8)):
        await ratings.rate(story_id, member, 5, 1)
        assert (await get(database, story_id)).score == expected
    await ratings.rate(story_id, 4, 5, 2)  # taken back
    assert (await get(database, story_id)).score is None


async def test_nobody_votes_on_their_own_nor_on_what_is_not_there(database: Database) -> None:
    story_id, ratings = await told(database), ratings_of(database)
    with pytest.raises(OwnStoryError):
        await ratings.rate(story_id, ASKED, 5, 1)
    with pytest.raises(NotToldError):
        await ratings.rate(story_id + 1, 2, 5, 1)
    await change(database, story_id, removed_at=now())
    with pytest.raises(NotToldError):
        await ratings.rate(story_id, 2, 5, 1)
    assert await counted(database, story_id) == (0, 0)


async def test_an_account_of_today_has_no_vote_unless_the_host_lets_it(
    database: Database,
) -> None:
    story_id = await told(database)

    def made(ago: dt.timedelta) -> int:
        milliseconds = (now() - ago - SNOWFLAKES_BEGIN) // dt.timedelta(milliseconds=1)
        return milliseconds << 22

    young, old = made(dt.timedelta(hours=23)), made(dt.timedelta(hours=25))
    with pytest.raises(NewAccountError) as refused:
        await ratings_of(database).rate(story_id, young, 5, 1)
    assert refused.value.until == created_at(young) + dt.timedelta(days=1)
    await ratings_of(database).rate(story_id, old, 5, 1)
    await Ratings(database.sessions, Votes(account_age=0)).rate(story_id, young, 3, 1)
    assert await ratings_of(database).stars(story_id) == Stars(2, 4.0)
