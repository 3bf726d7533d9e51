"""Stories that members showed to their server's moderators, and what those decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, select, update

from bot.database.clock import now
from bot.database.in_order import take
from bot.database.tables import Report
from bot.database.trail import Act, entry
from bot.database.unbroken import unbroken
from bot.database.upsert import insert_or_update

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker


class ReportedError(Exception):
    """The member has reported the story before."""


@dataclass(frozen=True, slots=True)
class Added:
    """A report that was taken."""

    report_id: int
    first: bool
    """No other report of the story waits for a decision."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A story that waits for a decision."""

    report_id: int
    """Its first report."""
    story_id: int
    stories: int
    """How many wait in the server, this one among them."""


@unbroken
class Reports:
    """One a member and story; a decision is about the story, and so about all its reports."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def add(self, story_id: int, guild_id: int, member_id: int, reason: str) -> Added:
        """Take a member's report.

        Raises:
            ReportedError: The member has reported this story before.
        """
        values = {
            "story_id": story_id,
            "guild_id": guild_id,
            "member_id": member_id,
            "reason": reason,
            "reported_at": now(),
        }
        async with self._sessions.begin() as session:
            report_id: int | None = await session.scalar(
                insert_or_update(session, Report)
                .values(**values)
                .on_conflict_do_nothing(index_elements=[Report.story_id, Report.member_id])
                .returning(Report.id)
            )
            if report_id is None:
                raise ReportedError
            others = await session.scalar(
                select(func.count()).where(
                    Report.story_id == story_id, Report.kept.is_(None), Report.id != report_id
                )
            )
            return Added(report_id, first=not others)

    async def get(self, report_id: int) -> Report | None:
        """Give one report; None when there is none."""
        async with self._sessions() as session:
            return await session.get(Report, report_id)

    async def of_story(self, story_id: int) -> list[Report]:
        """Give every report of a story, the oldest first."""
        query = select(Report).where(Report.story_id == story_id).order_by(Report.id)
        async with self._sessions() as session:
            return list(await session.scalars(query))

    async def waiting(self, guild_id: int, after: int = 0) -> Waiting | None:
        """Give the story that has waited longest for a decision in a server.

        Args:
            guild_id: The server.
            after: The next whose first report came after this one, and the first of all after the
                last.
        """
        first = func.min(Report.id).label("first")
        stories = (
            select(first, Report.story_id, func.count().over().label("stories"))
            .where(Report.guild_id == guild_id, Report.kept.is_(None))
            .group_by(Report.story_id)
            .subquery()
        )
        query = select(stories).order_by(stories.c.first <= after, stories.c.first).limit(1)
        async with self._sessions() as session:
            row = (await session.execute(query)).one_or_none()
            return Waiting(row.first, row.story_id, row.stories) if row is not None else None

    async def keep(self, story_id: int, guild_id: int, moderator_id: int) -> bool:
        """Let a reported story stand; gives whether anything was left to be decided."""
        waiting = and_(
            Report.story_id == story_id, Report.guild_id == guild_id, Report.kept.is_(None)
        )
        async with self._sessions.begin() as session:
            await take(session, [Report.id], select(Report.id).where(waiting))
            decided = await session.scalars(
                update(Report)
                .where(waiting)
                .values(kept=True, moderator_id=moderator_id)
                .returning(Report.id)
            )
            if not list(decided):
                return False
            session.add(entry(guild_id, moderator_id, Act.KEEP, f"story {story_id}"))
            return True
