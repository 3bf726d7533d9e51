"""Reading stories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import literal, select
from sqlalchemy.orm import aliased

from bot.database.tables import Story
from bot.database.unbroken import unbroken

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker


@unbroken
class Stories:
    """Stories as they stand; the queue changes them."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def get(self, story_id: int) -> Story | None:
        """Give one story; None when there is none (any more)."""
        async with self._sessions() as session:
            return await session.get(Story, story_id)

    async def several(self, story_ids: Iterable[int]) -> list[Story]:
        """Give those of the stories that there are, in one query."""
        async with self._sessions() as session:
            return list(await session.scalars(select(Story).where(Story.id.in_(story_ids))))

    async def together(self, interaction_id: int) -> list[Story]:
        """Give the stories of one interaction, in order."""
        async with self._sessions() as session:
            return list(
                await session.scalars(
                    select(Story).where(Story.interaction_id == interaction_id).order_by(Story.nth)
                )
            )

    async def thread(self, story: Story, *, depth: int = 8) -> list[Story]:
        """Give what a continued story follows, oldest first and itself last.

        Args:
            story: The last one.
            depth: How many earlier parts at most.
        """
        if story.parent_id is None:
            return [story]
        parts = (
            select(Story.id, Story.parent_id, literal(1).label("back"))
            .where(Story.id == story.parent_id)
            .cte(recursive=True)
        )
        earlier = aliased(Story)
        parts = parts.union_all(
            select(earlier.id, earlier.parent_id, parts.c.back + 1)
            .join(parts, earlier.id == parts.c.parent_id)
            .where(parts.c.back < depth)
        )
        async with self._sessions() as session:
            found = await session.scalars(
                select(Story).join(parts, parts.c.id == Story.id).order_by(parts.c.back.desc())
            )
            return [*found, story]
