"""Stars that members give to stories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, literal, select

from bot.database.places import now
from bot.database.tables import Rating, State, Story
from bot.database.unbroken import unbroken
from bot.database.upsert import insert_or_update

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker


class OwnStoryError(Exception):
    """Nobody rates the story they asked for."""


class NotToldError(Exception):
    """Only a told story can be rated."""


@dataclass(frozen=True, slots=True)
class Stars:
    """What a story was given so far."""

    count: int
    mean: float
    """1 to 5; 0 while nobody has rated."""


@unbroken
class Ratings:
    """One changeable vote a member and story."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def rate(self, story_id: int, member_id: int, stars: int) -> Stars:
        """Give or change a member's stars, 1 to 5; gives what the story has now.

        Raises:
            NotToldError: There is no such story, or it was not told.
            OwnStoryError: The member asked for it.
        """
        vote = select(
            Story.id, literal(member_id), literal(stars), literal(now(), Rating.rated_at.type)
        ).where(Story.id == story_id, Story.state == State.TOLD, Story.member_id != member_id)
        async with self._sessions.begin() as session:
            insert = insert_or_update(session, Rating).from_select(
                ["story_id", "member_id", "stars", "rated_at"], vote
            )
            saved = await session.scalar(
                insert.on_conflict_do_update(
                    index_elements=[Rating.story_id, Rating.member_id],
                    set_={"stars": insert.excluded.stars, "rated_at": insert.excluded.rated_at},
                ).returning(Rating.story_id)
            )
            if saved is None:
                story = await session.get(Story, story_id)
                if story is None or story.state is not State.TOLD:
                    raise NotToldError
                raise OwnStoryError
            return await _stars(session, story_id)

    async def stars(self, story_id: int) -> Stars:
        """Give what a story has now."""
        async with self._sessions() as session:
            return await _stars(session, story_id)


async def _stars(session: AsyncSession, story_id: int) -> Stars:
    query = select(func.count(), func.avg(Rating.stars)).where(Rating.story_id == story_id)
    count, mean = (await session.execute(query)).one()
    return Stars(count, float(mean or 0))
