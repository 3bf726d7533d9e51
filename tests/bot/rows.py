"""Stories' rows, looked at and changed behind the queue's back, as to let time pass."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from bot.database.clock import now
from bot.database.stories import Stories
from bot.database.tables import Story

if TYPE_CHECKING:
    from bot.database import Database


async def get(database: Database, story_id: int) -> Story:
    """The story as it is saved."""
    story = await Stories(database.sessions).get(story_id)
    assert story is not None
    return story


async def change(database: Database, story_id: int, **values: Any) -> None:
    """Let time pass for one story, by what it leaves in the row."""
    async with database.sessions.begin() as session:
        await session.execute(update(Story).where(Story.id == story_id).values(**values))


async def lapse(database: Database, story_id: int) -> None:
    """Let the story's lease, or its rest, run out."""
    await change(database, story_id, lease_until=now() - dt.timedelta(seconds=1))
