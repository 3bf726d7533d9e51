"""Reading stories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import literal, select
from sqlalchemy.orm import aliased

from bot.database.tables import Story
from bot.database.unbroken import unbroken

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

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

    async def following(self, story_ids: Collection[int], *, depth: int = 100) -> list[Story]:
        """Give what goes on from these stories, part by part, in messages that others may read.

        Args:
            story_ids: Few of them.
            depth: How many later parts of each at most.
        """
        parts = (select(Story.id, literal(0).label("on")).where(Story.id.in_(story_ids))).cte(
            recursive=True
        )
        later = aliased(Story)
        parts = parts.union(
            select(later.id, parts.c.on + 1)
            .join(parts, later.parent_id == parts.c.id)
            .where(parts.c.on < depth)
        )
        query = (
            select(Story)
            .join(parts, parts.c.id == Story.id)
            .where(parts.c.on > 0, Story.message_id.is_not(None), ~Story.private)
        )
        async with self._sessions() as session:
            return list((await session.scalars(query)).unique())

    async def asked_in(
        self, guild_id: int, limit: int, *, before: int | None = None, member_id: int | None = None
    ) -> list[Story]:
        """Give what was asked for in a server, the newest first; never what is private.

        Args:
            guild_id: The server.
            limit: How many at most.
            before: Only stories older than the one of this id.
            member_id: Only what this member asked for.
        """
        query = select(Story).where(Story.guild_id == guild_id, ~Story.private)
        if before is not None:
            query = query.where(Story.id < before)
        if member_id is not None:
            query = query.where(Story.member_id == member_id)
        async with self._sessions() as session:
            return list(await session.scalars(query.order_by(Story.id.desc()).limit(limit)))
