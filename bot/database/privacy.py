"""Everything that is kept of one member: given to them, and deleted; a little at a time.

Each method that changes something takes one short transaction for few rows, and is called until
nothing is left: nobody else's press waits behind a member with ten thousand stories.
"""

from __future__ import annotations

import datetime as dt
from enum import Enum
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, delete, func, inspect, literal, or_, select, tuple_, update

from bot.database.clock import now
from bot.database.holdings import NOBODY, Fate, Holding, held
from bot.database.in_order import take
from bot.database.ratings import score
from bot.database.removals import Removed
from bot.database.tables import Audit, Rating, Story
from bot.database.turns import LIVE, take_members
from bot.database.unbroken import unbroken
from bot.database.wishes import PLAIN

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

FEW = 200
"""Rows that one transaction changes."""
PAGE = 500
"""Rows that are read at once."""
LATELY = dt.timedelta(days=1)
"""In which messages are drawn anew after a deletion: old ones take few edits at a time."""
SPAN = 1_000
"""Stories among which copies of a member's words are looked for at once."""


@unbroken
class Privacy:
    """One member's rows in every table."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def page(self, holding: Holding, member_id: int, skipped: int) -> list[dict[str, Any]]:
        """Give some of what is kept of a member, as JSON has it; nothing: that was all.

        Args:
            holding: Which kind.
            member_id: The member.
            skipped: Rows that were given already.
        """
        query = (
            select(*holding.given)
            .where(holding.column == member_id)
            .order_by(*inspect(holding.column.class_).primary_key)
            .offset(skipped)
            .limit(PAGE)
        )
        async with self._sessions() as session:
            rows = (await session.execute(query)).mappings().all()
        return [{name: _plain(value) for name, value in row.items()} for row in rows]

    async def unfinished(self, member_id: int) -> list[Story]:
        """Give the member's stories that wait, are told, or are not shown to their end."""
        query = select(Story).where(Story.member_id == member_id, Story.shown_at.is_(None))
        async with self._sessions() as session:
            return list(await session.scalars(query))

    async def last_story(self) -> int:
        """Give the newest story's id; 0: there is none."""
        async with self._sessions() as session:
            return await session.scalar(select(func.max(Story.id))) or 0

    async def copies(self, member_id: int, after: int) -> list[tuple[int, str, bool]]:
        """Find others' stories that begin with words that the member began one with.

        Args:
            member_id: The member.
            after: Look at the next `SPAN` stories after this id.

        Returns:
            Of each its id, the words, and whether it came first: then they are no copy.
        """
        mine = (
            select(Story.prompt, func.min(Story.id).label("first"))
            .where(Story.member_id == member_id, ~Story.house_opening, Story.prompt != "")
            .group_by(Story.prompt)
            .subquery()
        )
        query = (
            select(Story.id, Story.prompt, Story.id < mine.c.first)
            .join(mine, mine.c.prompt == Story.prompt)
            .where(
                Story.id > after,
                Story.id <= after + SPAN,
                Story.member_id != member_id,
                ~Story.house_opening,
            )
        )
        async with self._sessions() as session:
            return [(row[0], row[1], bool(row[2])) for row in await session.execute(query)]

    async def blank(self, story_ids: Collection[int]) -> list[Story]:
        """Take the beginning out of these stories; gives them as they are now."""
        statement = update(Story).where(Story.id.in_(story_ids)).values(prompt="")
        async with self._sessions.begin() as session:
            await take_members(session, Story.id.in_(story_ids))
            await take(session, [Story.id], [(story_id,) for story_id in story_ids])
            changed = await session.scalars(statement.returning(Story), execution_options=PLAIN)
            return list(changed)

    async def forget_stories(self, member_id: int, *, words: bool) -> list[Story]:
        """Forget whose some of a member's stories are; gives them, nothing: that was all.

        What was for the member alone goes with its words in any case. Those that wait or are being
        told are left alone: they are called off first, or were asked for after the deletion.

        Args:
            member_id: The member.
            words: Their words go as well. The rows stay, for others' stories follow them.
        """
        moment = now()
        theirs = and_(Story.member_id == member_id, Story.state.not_in(LIVE))
        gone = or_(Story.private, literal(words))
        statement = (
            update(Story)
            .where(theirs)
            .values(
                member_id=NOBODY,
                prompt=case((gone, ""), else_=Story.prompt),
                text=case((gone, ""), else_=Story.text),
                removed_at=case(
                    (gone, func.coalesce(Story.removed_at, moment)), else_=Story.removed_at
                ),
                withheld=case(
                    (and_(gone, Story.removed_at.is_(None)), Removed.BY_AUTHOR),
                    else_=Story.withheld,
                ),
                score=case((gone, None), else_=Story.score),
                error=None,
                answer_token=None,
                answer_until=None,
            )
        )
        async with self._sessions.begin() as session:
            query = select(Story.id).where(theirs).limit(FEW)
            # Whoever deletes beside us may take all of them, which does not mean that none is left.
            while some := list(await session.scalars(query)):
                await take(session, [Story.id], [(story_id,) for story_id in some])
                taken = statement.where(Story.id.in_(some)).returning(Story)
                if changed := list(await session.scalars(taken, execution_options=PLAIN)):
                    return changed
            return []

    async def lately_forgotten(self) -> list[Story]:
        """Give stories whose words went with their member's name within a day, where they stand."""
        query = select(Story).where(
            Story.member_id == NOBODY,
            Story.removed_at > now() - LATELY,
            Story.message_id.is_not(None),
        )
        async with self._sessions() as session:
            return list(await session.scalars(query))

    async def forget_ratings(self, member_id: int) -> int:
        """Take some of a member's stars back; gives how many, 0: that was all."""
        some = select(Rating.story_id).where(Rating.member_id == member_id).limit(FEW)
        async with self._sessions.begin() as session:
            # The stories' rows first, as whoever rates takes them.
            rated = list(await session.scalars(some))
            await take(session, [Story.id], [(story_id,) for story_id in rated])
            stories = update(Story).where(Story.id.in_(rated)).values(votes=Story.votes)
            returned = stories.returning(Story.id, Story.votes, Story.stars)
            sums = {
                story_id: (votes - 1, total)
                for story_id, votes, total in await session.execute(
                    returned, execution_options=PLAIN
                )
            }
            taken = delete(Rating).where(
                Rating.member_id == member_id, Rating.story_id.in_(list(sums))
            )
            rows = (await session.execute(taken.returning(Rating.story_id, Rating.stars))).all()
            for story_id, stars in rows:
                if stars is not None:
                    votes, total = sums[story_id][0], sums[story_id][1] - stars
                    # One vote fewer gives no story a score that had none, as one removed.
                    mean = case(
                        (Story.score.is_not(None), literal(score(votes, total), Story.score.type))
                    )
                    await session.execute(
                        update(Story)
                        .where(Story.id == story_id)
                        .values(votes=votes, stars=total, score=mean),
                        execution_options=PLAIN,
                    )
            return len(rated)

    async def forget_some(self, holding: Holding, member_id: int) -> int:
        """Delete some of a member's other rows, or their name in them; gives how many."""
        table = holding.column.class_
        key = inspect(table).primary_key
        some = select(*key).where(held(holding, member_id, now())).limit(FEW)
        async with self._sessions.begin() as session:
            deletes = holding.fate is Fate.DELETED
            rows = [tuple(row) for row in await session.execute(some)]
            if not rows:
                return 0
            await take(session, key, rows, deletes=deletes)
            chosen = tuple_(*key).in_(rows)
            if deletes:
                await session.execute(delete(table).where(chosen), execution_options=PLAIN)
            else:
                values: dict[str, Any] = {
                    holding.column.key: None if holding.column.nullable else NOBODY
                }
                if table is Audit:
                    # What was done may name them too.
                    values["detail"] = func.replace(Audit.detail, str(member_id), str(NOBODY))
                await session.execute(
                    update(table).where(chosen).values(**values), execution_options=PLAIN
                )
            return len(rows)


def _plain(value: object) -> object:
    """As JSON has it; ids as text, for many readers of JSON have no such large numbers."""
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return str(value)
    return value
