"""What a host does not want to keep for ever: stories and moderators' acts that are old enough."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from bot.database.clock import now
from bot.database.in_order import take, take_dependent
from bot.database.tables import Audit, Story
from bot.database.turns import take_members
from bot.database.unbroken import unbroken

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

FEW = 200
"""Rows that one transaction deletes."""


@unbroken
class Retention:
    """Deletes what is too old, the oldest first and a little at a time.

    Rows are numbered as they come, so only the lowest numbers are looked at, however many there
    are: no index by age is needed.
    """

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def forget_stories(self, days: float) -> int:
        """Delete old stories whose end was shown, with their stars; gives how many.

        A younger one that continues such a story stays, and begins its tale from then on.
        """
        oldest = select(Story.id, Story.asked_at, Story.shown_at).order_by(Story.id).limit(FEW)
        long_ago = now() - dt.timedelta(days=days)
        async with self._sessions() as session:
            rows = (await session.execute(oldest)).all()
        old = [row.id for row in rows if row.asked_at < long_ago and row.shown_at]
        if old:
            async with self._sessions.begin() as session:
                # One that is in line may go on from one of them.
                await take_members(session, Story.parent_id.in_(old))
                await take(session, [Story.id], [(number,) for number in old], deletes=True)
                await take_dependent(session, Story.__table__, old)
                await session.execute(delete(Story).where(Story.id.in_(old)))
        return len(old)

    async def forget_trail(self, days: float) -> int:
        """Delete what moderators did long ago; gives how many acts."""
        oldest = select(Audit.id, Audit.at).order_by(Audit.id).limit(FEW)
        long_ago = now() - dt.timedelta(days=days)
        async with self._sessions() as session:
            rows = (await session.execute(oldest)).all()
        old = [row.id for row in rows if row.at < long_ago]
        if old:
            async with self._sessions.begin() as session:
                await take(session, [Audit.id], [(number,) for number in old], deletes=True)
                await session.execute(delete(Audit).where(Audit.id.in_(old)))
        return len(old)
