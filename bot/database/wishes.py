"""A member's wish, from its being saved to its being withdrawn: their side of the queue."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, func, insert, literal, or_, select, update

from bot.database.clock import now
from bot.database.places import LIVE, line
from bot.database.tables import State, Story
from bot.database.trail import Act, entry
from bot.database.unbroken import unbroken

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Update
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from bot.config import Queue as QueueSettings

TOKEN_LIFE = dt.timedelta(minutes=15)
"""How long after its interaction Discord takes a token."""

# Any number that all bots share: on PostgreSQL wishes are counted and inserted one at a time.
ENQUEUE_LOCK = 0x6B6174617269


PLAIN = {"synchronize_session": False}
"""No session outlives its statement, so there are no loaded objects to bring up to date."""


class Scope(StrEnum):
    """Whose limit was reached."""

    MEMBER = "member"
    SERVER = "server"
    ALL = "all"


class QueueFullError(Exception):
    """There is no room for a further wish now."""

    def __init__(self, scope: Scope, limit: int) -> None:
        super().__init__(f"{limit} stories already wait or are being told ({scope})")
        self.scope = scope
        self.limit = limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a member asked for; fields as in the stories table."""

    interaction_id: int
    guild_id: int | None
    channel_id: int
    member_id: int
    prompt: str
    house_opening: bool
    model: str
    seed: int
    parent_id: int | None = None
    answer_token: str | None = field(default=None, repr=False)


@unbroken
class Wishes:
    """What commands and buttons do to the queue; each method is one short transaction."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], settings: QueueSettings) -> None:
        self._sessions = sessions
        self._settings = settings

    async def enqueue(self, wish: Wish) -> Story:
        """Save a wish; the same interaction a second time gives the story it already has.

        Raises:
            QueueFullError: The member, the server or the whole queue has reached its limit.
        """
        moment = now()
        # A literal, since `== None` would mean IS NULL: private messages are no server.
        server = literal(wish.guild_id, Story.guild_id.type)
        counts = (
            select(
                func.count().filter(Story.member_id == wish.member_id).label("member"),
                func.count().filter(Story.guild_id == server).label("server"),
                func.count().label("everybody"),
            )
            .where(Story.shown_at.is_(None), Story.state.in_(LIVE))
            .subquery()
        )
        limits = (
            (Scope.MEMBER, counts.c.member, self._settings.per_member),
            (Scope.SERVER, counts.c.server, self._settings.per_server),
            (Scope.ALL, counts.c.everybody, self._settings.waiting),
        )
        values = {
            Story.interaction_id: wish.interaction_id,
            Story.guild_id: wish.guild_id,
            Story.channel_id: wish.channel_id,
            Story.member_id: wish.member_id,
            Story.parent_id: wish.parent_id,
            Story.prompt: wish.prompt,
            Story.house_opening: wish.house_opening,
            Story.model: wish.model,
            Story.seed: wish.seed,
            Story.state: State.QUEUED,
            Story.asked_at: moment,
            Story.answer_token: wish.answer_token,
            Story.answer_until: moment + TOKEN_LIFE if wish.answer_token else None,
        }
        row = (
            select(*(literal(value, column.type) for column, value in values.items()))
            .select_from(counts)
            .where(
                ~exists().where(Story.interaction_id == wish.interaction_id),
                *(count < limit for _, count, limit in limits),
            )
        )
        async with self._sessions.begin() as session:
            if session.get_bind().dialect.name == "postgresql":
                # There two inserts would not count each other's row; SQLite has one writer.
                await session.execute(select(func.pg_advisory_xact_lock(ENQUEUE_LOCK)))
            story: Story | None = await session.scalar(
                insert(Story).from_select([column.key for column in values], row).returning(Story)
            )
            story = story or await session.scalar(
                select(Story).where(Story.interaction_id == wish.interaction_id)
            )
            if story is not None:
                return story
            found = (await session.execute(select(counts))).one()
        for (scope, _, limit), count in zip(limits, found, strict=True):
            if count >= limit:
                raise QueueFullError(scope, limit)
        # Between the two statements somebody made room (not on SQLite, where we hold the lock).
        return await self.enqueue(wish)

    async def posted(self, story_id: int, message_id: int, *, answers: bool = True) -> None:
        """Keep which message shows the story.

        `answers`: it is the interaction's answer, which the interaction's token can edit.
        """
        values: dict[str, object] = {"message_id": message_id}
        if not answers:
            values |= {"answer_token": None, "answer_until": None}
        await self._update(update(Story).where(Story.id == story_id).values(**values))

    async def answerable(self, story_id: int, token: str) -> None:
        """Keep the token of a new press on the story's message, while the story is not shown."""
        await self._update(
            update(Story)
            .where(Story.id == story_id, Story.shown_at.is_(None))
            .values(answer_token=token, answer_until=now() + TOKEN_LIFE)
        )

    async def position(self, story_id: int) -> int | None:
        """Give the story's place, 1 being the next; None when it no longer waits."""
        places = line().subquery()
        async with self._sessions() as session:
            return await session.scalar(select(places.c.place).where(places.c.id == story_id))

    async def positions(self) -> dict[int, int]:
        """Give everybody's place in one query: story id → place."""
        async with self._sessions() as session:
            return dict((await session.execute(line())).all())

    async def cancel(
        self,
        story_id: int,
        member_id: int,
        *,
        moderator_id: int | None = None,
        text: str | None = None,
    ) -> Story | None:
        """Withdraw a member's own wish until its last word is shown; None: too late.

        Args:
            story_id: The story.
            member_id: Who asked for it.
            moderator_id: A moderator who does it in the member's stead; that leaves an audit row,
                in the same transaction.
            text: What is shown of it so far, and stays. None: nothing more is being shown, and a
                story that was told to its end is not cut.
        """
        moment = now()
        open_still: ColumnElement[bool] = Story.state.in_(LIVE)
        if text is not None:
            shown_still = and_(Story.state == State.TOLD, Story.shown_at.is_(None))
            open_still = or_(open_still, shown_still)
        statement = (
            update(Story)
            .where(Story.id == story_id, Story.member_id == member_id, open_still)
            .values(
                state=State.CANCELLED,
                text=Story.text if text is None else text,
                ended_at=moment,
                lease_owner=None,
                lease_until=None,
            )
            .returning(Story)
        )
        async with self._sessions.begin() as session:
            story: Story | None = await session.scalar(statement, execution_options=PLAIN)
            # Only a server has moderators.
            if story is not None and story.guild_id is not None and moderator_id is not None:
                session.add(
                    entry(
                        story.guild_id,
                        moderator_id,
                        Act.CALL_OFF,
                        f"story {story.id}",
                        member_id=story.member_id,
                    )
                )
            return story

    async def _change(self, statement: Update) -> Story | None:
        async with self._sessions.begin() as session:
            story: Story | None = await session.scalar(
                statement.returning(Story), execution_options=PLAIN
            )
            return story

    async def _update(self, statement: Update) -> set[int]:
        async with self._sessions.begin() as session:
            ids = await session.scalars(statement.returning(Story.id), execution_options=PLAIN)
            return set(ids)
