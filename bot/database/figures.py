"""What is counted for `/ranking` and `/stats`: duels' votes, models' stars, a server's month."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy import text as sql

from bot.database.clock import now
from bot.database.tables import BROWSED, Duel, DuelVote, State, Story
from bot.database.unbroken import unbroken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

DUELS = 1000
"""Duels that count, about: the latest, for models learn, and old votes are on what they were."""
LIKED = 2000
"""Stories whose stars count for their models: the latest, for the same reason."""
DAYS = 30
"""Of a server's stories those of so many days are counted."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """One vote in a duel that is closed."""

    duel_id: int
    model_a: str
    model_b: str
    member_id: int
    choice: str
    """`a`, `b` or `tie`."""


@dataclass(frozen=True, slots=True)
class Likes:
    """What the stars under a model's stories come to."""

    model: str
    votes: int
    mean: float


@dataclass(frozen=True, slots=True)
class Month:
    """A server's stories of the last days, private ones left out."""

    days: Sequence[int]
    """Stories of each day, the oldest first; the last is today, in UTC."""
    hours: Sequence[int]
    """Stories of each hour of the day, from 0 to 23, in UTC."""
    models: Sequence[tuple[str, int]]
    """Who told them, and how many; most first."""
    stars: Sequence[int]
    """Stories whose stars are about 1, 2, 3, 4 and 5 in the mean."""

    @property
    def stories(self) -> int:
        """All of them."""
        return sum(self.days)


@unbroken
class Figures:
    """Numbers about many stories; nothing in them is about one member."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def last_closed(self) -> int | None:
        """Give the duel that closed last: while it is the same, so are the ballots."""
        query = select(Duel.id).where(Duel.closed_at.is_not(None))
        async with self._sessions() as session:
            return await session.scalar(query.order_by(Duel.closed_at.desc()).limit(1))

    async def ballots(self) -> list[Ballot]:
        """Give the votes in the duels that closed last, whichever server they were in."""
        latest = (
            select(Duel.id)
            .where(Duel.closed_at.is_not(None))
            .order_by(Duel.closed_at.desc())
            .limit(DUELS)
            .subquery()
        )
        async with self._sessions() as session:
            first = await session.scalar(select(func.min(latest.c.id)))
            if first is None:
                return []
            # Their votes lie beside each other: one walk through an index, and no look at each.
            query = (
                select(Duel.id, Duel.model_a, Duel.model_b, DuelVote.member_id, DuelVote.choice)
                .join(DuelVote, DuelVote.duel_id == Duel.id)
                .where(Duel.id >= first, DuelVote.duel_id >= first, Duel.closed_at.is_not(None))
            )
            return [Ballot(*row) for row in await session.execute(query)]

    async def likes(self) -> list[Likes]:
        """Give each model's stars, whichever server they were given in; the best first."""
        # As the index has it, so that no story is looked at.
        latest = (
            select(Story.model, Story.votes, Story.stars)
            .where(sql("votes > 0"), Story.told_at.is_not(None))
            .order_by(Story.told_at.desc())
            .limit(LIKED)
            .subquery()
        )
        votes, stars = func.sum(latest.c.votes), func.sum(latest.c.stars)
        async with self._sessions() as session:
            rows = await session.execute(
                select(latest.c.model, votes, stars).group_by(latest.c.model)
            )
            found = [Likes(model, int(count), total / count) for model, count, total in rows]
        return sorted(found, key=lambda of: (-of.mean, of.model))

    async def month(self, guild_id: int) -> Month:
        """Count a server's stories of the last days."""
        today = now().date()
        first = today - dt.timedelta(days=DAYS - 1)
        since = dt.datetime.combine(first, dt.time(), dt.UTC)
        told = (
            sql(BROWSED),
            Story.guild_id == guild_id,
            Story.told_at >= since,
            Story.state == State.TOLD,
        )
        async with self._sessions() as session:
            if session.get_bind().dialect.name == "postgresql":
                hour = func.to_char(func.timezone("UTC", Story.told_at), "YYYY-MM-DD HH24")
            else:
                hour = func.strftime("%Y-%m-%d %H", Story.told_at)
            by_hour = (
                select(hour, Story.model, func.count()).where(*told).group_by(hour, Story.model)
            )
            counted = (await session.execute(by_hour)).all()
            about = (2 * Story.stars + Story.votes) // (2 * Story.votes)
            by_stars = select(about, func.count()).where(*told, Story.votes > 0).group_by(about)
            liked = {int(star): count for star, count in await session.execute(by_stars)}
        days, hours, models = [0] * DAYS, [0] * 24, dict[str, int]()
        for moment, model, count in counted:
            day, _, of_day = moment.partition(" ")
            place = (dt.date.fromisoformat(day) - first).days
            if place < DAYS:  # midnight may have passed meanwhile
                days[place] += count
            hours[int(of_day)] += count
            models[model] = models.get(model, 0) + count
        ranked = sorted(models.items(), key=lambda of: (-of[1], of[0]))
        return Month(days, hours, ranked, [liked.get(star, 0) for star in range(1, 6)])
