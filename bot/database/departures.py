"""Servers that sent the bot away: after a grace period everything of theirs is deleted."""

from __future__ import annotations

import datetime as dt
from contextlib import nullcontext
from typing import TYPE_CHECKING

from sqlalchemy import delete, or_, select, tuple_, update

from bot.database.clock import now
from bot.database.columns import Base
from bot.database.in_order import take, take_dependent
from bot.database.tables import Asked, Guild, Story
from bot.database.turns import moving
from bot.database.unbroken import unbroken
from bot.database.upsert import insert_or_update
from bot.database.wishes import PLAIN

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

BY_THEMSELVES = frozenset({Guild.__table__, Asked.__table__})
"""Not looked through: the server's own row goes last, what was asked on a day goes by its age."""
FEW = 200
"""Rows that one transaction deletes."""


@unbroken
class Departures:
    """When the bot was sent away, and what is deleted then, a little at a time."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def joined(self, guild_ids: Collection[int]) -> None:
        """Note the servers that the bot is in; one that it came back to keeps everything."""
        if not guild_ids:
            return
        async with self._sessions.begin() as session:
            await session.execute(
                insert_or_update(session, Guild)
                .values([{"guild_id": guild_id} for guild_id in guild_ids])
                .on_conflict_do_update(
                    index_elements=[Guild.guild_id],
                    set_={"left_at": None},
                    where=Guild.left_at.is_not(None),
                )
            )

    async def left(self, guild_ids: Collection[int]) -> None:
        """Note that the bot is not in these servers any more, from now on."""
        async with self._sessions.begin() as session:
            await session.execute(
                update(Guild)
                .where(Guild.guild_id.in_(guild_ids), Guild.left_at.is_(None))
                .values(left_at=now()),
                execution_options=PLAIN,
            )

    async def known(self) -> set[int]:
        """Give the servers that the bot was in when it last knew."""
        async with self._sessions() as session:
            return set(await session.scalars(select(Guild.guild_id).where(Guild.left_at.is_(None))))

    async def due(self, days: float, *, but: Collection[int] = ()) -> int | None:
        """Give a server that the bot left so many days ago, none of some; None: there is none."""
        long_ago = now() - dt.timedelta(days=days)
        left = select(Guild.guild_id).where(Guild.left_at <= long_ago)
        query = left.where(Guild.guild_id.not_in(but)).limit(1)
        async with self._sessions() as session:
            return await session.scalar(query)

    async def forget_some(self, guild_id: int) -> int:
        """Delete some of a server's rows; gives how many, 0: that was all.

        Its own row is the last: until then a crash is made up for by the next call.
        """
        for table in reversed(Base.metadata.sorted_tables):
            if "guild_id" not in table.columns or table in BY_THEMSELVES:
                continue
            async with self._sessions.begin() as session:
                key = list(table.primary_key)
                # The oldest, for what follows from them is newer: that is taken after them.
                some = select(*key).where(table.c.guild_id == guild_id).order_by(*key).limit(FEW)
                rows = [tuple(row) for row in await session.execute(some)]
                if rows:
                    numbers = [row[0] for row in rows]
                    # Stories may be in line still, and others' may go on from one of them.
                    theirs = or_(Story.id.in_(numbers), Story.parent_id.in_(numbers))
                    of_stories = table is Story.__table__
                    async with moving(session, theirs) if of_stories else nullcontext():
                        await take(session, key, rows, deletes=True)
                        await take_dependent(session, table, numbers)
                        await session.execute(delete(table).where(tuple_(*key).in_(rows)))
                    return len(rows)
        own = delete(Guild).where(Guild.guild_id == guild_id, Guild.left_at.is_not(None))
        async with self._sessions.begin() as session:
            gone = await session.scalars(own.returning(Guild.guild_id), execution_options=PLAIN)
            return len(list(gone))
