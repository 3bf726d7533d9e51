"""Stars that members give to stories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import case, func, literal, null, select

from bot.database.clock import now
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
            NotToldError: There is no such story, or it was not told.
            OwnStoryError: The member asked for it.
        """
        vote = select(
            Story.id,
            literal(member_id),
            literal(stars),
            literal(press_id, Rating.press_id.type),
            literal(now(), Rating.rated_at.type),
        ).where(Story.id == story_id, Story.state == State.TOLD, Story.member_id != member_id)
        async with self._sessions.begin() as session:
            insert = insert_or_update(session, Rating).from_select(
                ["story_id", "member_id", "stars", "press_id", "rated_at"], vote
            )
            new = insert.excluded
            late = new.press_id <= Rating.press_id
            saved = await session.execute(
                insert.on_conflict_do_update(
                    index_elements=[Rating.story_id, Rating.member_id],
                    set_={
                        "stars": case(
                            (late, Rating.stars),
                            (Rating.stars == new.stars, null()),
                            else_=new.stars,
                        ),
                        "press_id": case((late, Rating.press_id), else_=new.press_id),
                        "rated_at": case((late, Rating.rated_at), else_=new.rated_at),
                    },
                ).returning(Rating.stars)
            )
            row = saved.one_or_none()
            if row is None:
                story = await session.get(Story, story_id)
                if story is None or story.state is not State.TOLD:
                    raise NotToldError
                raise OwnStoryError
            stars_now: int | None = row.stars
            return stars_now

    async def stars(self, story_id: int) -> Stars:
        """Give what a story has now."""
        async with self._sessions() as session:
            return await _stars(session, story_id)


async def _stars(session: AsyncSession, story_id: int) -> Stars:
    query = select(func.count(Rating.stars), func.avg(Rating.stars)).where(
        Rating.story_id == story_id
    )
    count, mean = (await session.execute(query)).one()
    return Stars(count, float(mean or 0))
