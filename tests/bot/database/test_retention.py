"""Stories and moderators' acts are kept as long as the host wants."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from bot.database.clock import now
from bot.database.retention import Retention
from bot.database.tables import Audit, Rating, State, Story
from tests.bot.rows import change, get
from tests.bot.wishes import queue_of, ratings_of, wish

if TYPE_CHECKING:
    from bot.database import Database

LONG_AGO = now() - dt.timedelta(days=40)


async def old(database: Database, story_id: int, **values: object) -> None:
    await change(database, story_id, **{"asked_at": LONG_AGO, "state": State.TOLD, **values})


async def test_old_stories_go_with_their_stars_and_what_continues_them_stays(
    database: Database,
) -> None:
    queue = queue_of(database)
    first = await queue.enqueue(wish(member=1))
    second = await queue.enqueue(wish(member=2, parent_id=first.id))
    waiting = await queue.enqueue(wish(member=3))
    await old(database, first.id)
    await change(database, second.id, state=State.TOLD)
    await old(database, waiting.id, state=State.QUEUED)  # not even begun: nobody forgets it
    await ratings_of(database).rate(first.id, 5, 4, 9)
    retention = Retention(database.sessions)
    assert await retention.forget_stories(41) == 0
    assert await retention.forget_stories(39) == 1
    assert await retention.forget_stories(39) == 0
    async with database.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Rating)) == 0
        assert set(await session.scalars(select(Story.id))) == {second.id, waiting.id}
    assert (await get(database, second.id)).parent_id is None


async def test_what_moderators_did_long_ago_goes(database: Database) -> None:
    async with database.sessions.begin() as session:
        for days in (50, 45, 1):
            at = now() - dt.timedelta(days=days)
            session.add(Audit(guild_id=1, moderator_id=2, act="x", detail="", at=at))
    retention = Retention(database.sessions)
    assert await retention.forget_trail(40) == 2
    assert await retention.forget_trail(40) == 0
