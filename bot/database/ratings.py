"""Stars that members give to stories, and what a story's stars come to."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from bot.database.clock import now
from bot.database.tables import Rating, State, Story
from bot.database.unbroken import unbroken
from bot.database.upsert import insert_or_update

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from bot.config import Votes

FEW = 3
"""Votes that a story must have before it stands in a list of the best."""
PRIOR_VOTES, PRIOR_STARS = 5, 17.5
"""What every story's average begins with, so that three fives do not beat thirty 4.9s: five votes
of 3.5 stars, the middle between *fair* and *good*."""

PLAIN = {"synchronize_session": False}
SNOWFLAKES_BEGIN = dt.datetime(2015, 1, 1, tzinfo=dt.UTC)
"""From which the milliseconds in Discord's ids are counted."""


class OwnStoryError(Exception):
    """Nobody rates the story they asked for."""


class NotToldError(Exception):
    """Only a told story can be rated."""


class NewAccountError(Exception):
    """The member's account is too young to vote."""

    def __init__(self, until: dt.datetime) -> None:
        super().__init__(f"may vote from {until:%Y-%m-%d %H:%M} on")
        self.until = until


@dataclass(frozen=True, slots=True)
class Stars:
    """What a story was given so far."""

    count: int
    mean: float
    """1 to 5; 0 while nobody has rated."""


def created_at(member_id: int) -> dt.datetime:
    """When an account was made: Discord's ids begin with the moment."""
    return SNOWFLAKES_BEGIN + dt.timedelta(milliseconds=member_id >> 22)


def check_account(member_id: int, settings: Votes) -> None:
    """Let only accounts vote that were not made for it.

    Raises:
        NewAccountError: It is younger than the host wants.
    """
    until = created_at(member_id) + dt.timedelta(seconds=settings.account_age)
    if until > now():
        raise NewAccountError(until)


@unbroken
class Ratings:
    """One changeable vote a member and story."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], settings: Votes) -> None:
        self._sessions = sessions
        self._settings = settings

    async def rate(self, story_id: int, member_id: int, stars: int, press_id: int) -> int | None:
        """Give or change a member's stars, 1 to 5; the ones it has already are taken back.

        Gives the member's vote as it is now; None: it was taken back.

        Args:
            story_id: The story.
            member_id: Who pressed.
            stars: The button that was pressed.
            press_id: Discord's number for the press, which grows with time: an older press that
                comes after a newer one changes nothing.

        Raises:
            NewAccountError: The member's account is younger than the host wants.
            NotToldError: There is no such story, or it was not told, or it was removed.
            OwnStoryError: The member asked for it.
        """
        check_account(member_id, self._settings)
        async with self._sessions.begin() as session:
            # Votes on one story come one after the other: whoever has written to its row is alone
            # with its votes until the end, and so every sum is right however many press at once.
            alone = (
                update(Story)
                .where(Story.id == story_id, Story.member_id != member_id, *_RATABLE)
                .values(votes=Story.votes)
                .returning(Story.votes, Story.stars)
            )
            row = (await session.execute(alone, execution_options=PLAIN)).one_or_none()
            if row is None:
                owned = select(Story.id).where(Story.id == story_id, *_RATABLE)
                raise NotToldError if await session.scalar(owned) is None else OwnStoryError
            vote = select(Rating.stars, Rating.press_id).where(
                Rating.story_id == story_id, Rating.member_id == member_id
            )
            before = (await session.execute(vote)).one_or_none()
            old: int | None = before.stars if before else None
            if before is not None and press_id <= before.press_id:
                return old
            new = None if old == stars else stars
            given = {"stars": new, "press_id": press_id, "rated_at": now()}
            await session.execute(
                insert_or_update(session, Rating)
                .values(story_id=story_id, member_id=member_id, **given)
                .on_conflict_do_update(
                    index_elements=[Rating.story_id, Rating.member_id], set_=given
                )
            )
            votes = row.votes + (new is not None) - (old is not None)
            total = row.stars + (new or 0) - (old or 0)
            await session.execute(
                update(Story)
                .where(Story.id == story_id)
                .values(votes=votes, stars=total, score=score(votes, total)),
                execution_options=PLAIN,
            )
            return new

    async def stars(self, story_id: int) -> Stars:
        """Give what a story has now."""
        query = select(Story.votes, Story.stars).where(Story.id == story_id)
        async with self._sessions() as session:
            found = (await session.execute(query)).one_or_none()
        count, total = found or (0, 0)
        return Stars(count, total / count if count else 0.0)


_RATABLE = (Story.state == State.TOLD, Story.removed_at.is_(None))


def score(votes: int, stars: int) -> float | None:
    """The Bayesian average of so many votes with so many stars together; None: too few votes."""
    return (stars + PRIOR_STARS) / (votes + PRIOR_VOTES) if votes >= FEW else None
