"""A member's wish, from its being saved to its being withdrawn: their side of the queue."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ColumnDefault, and_, bindparam, insert, or_, select, update

from bot.database.admission import NOTE, ROOM, Asking, admit
from bot.database.clock import now
from bot.database.in_order import take
from bot.database.limits import Limits, Rush
from bot.database.one_call import Addition
from bot.database.places import LINE, LINE_OF_SHARDS, place
from bot.database.reach import freed
from bot.database.tables import Duel, Form, Length, State, Story
from bot.database.trail import Act, entry
from bot.database.transactions import PostgresqlTransaction, story_of
from bot.database.turns import LIVE, moving, take_members, wisher
from bot.database.unbroken import unbroken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement

    from bot.config import Queue as QueueSettings
    from bot.database.sessions import Sessions

TOKEN_LIFE = dt.timedelta(minutes=15)
"""How long after its interaction Discord takes a token."""

PLAIN = {"synchronize_session": False}
"""No session outlives its statement, so there are no loaded objects to bring up to date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a member asked for; fields as in the stories table."""

    interaction_id: int
    guild_id: int | None
    channel_id: int
    thread_of: int | None = None
    member_id: int
    prompt: str
    house_opening: bool
    model: str
    seed: int
    nth: int = 0
    form: Form = Form.STORY
    mood: str | None = None
    length: Length = Length.SHORT
    private: bool = False
    plain: bool = False
    language: str = "en"
    parent_id: int | None = None
    answer_token: str | None = field(default=None, repr=False)


@unbroken
class Wishes:
    """What commands and buttons do to the queue; each method is one short transaction."""

    def __init__(self, sessions: Sessions, settings: QueueSettings) -> None:
        self._sessions = sessions
        self._settings = settings
        self._limits = Limits.of(settings)
        self.rush = Rush()

    async def enqueue(self, wish: Wish, limits: Limits | None = None) -> Story:
        """Save one wish; see `enqueue_together`."""
        (story,) = await self.enqueue_together([wish], limits)
        return story

    async def enqueue_together(
        self,
        wishes: Sequence[Wish],
        limits: Limits | None = None,
        *,
        duel_lasts: float = 0.0,
    ) -> list[Story]:
        """Save the wishes of one interaction, all or none; gives their stories in order.

        The same interaction a second time gives the stories that it already has.

        Args:
            wishes: One or several, of one member in one place.
            limits: What the member may ask for; None: what the host lets everybody.
            duel_lasts: Seconds in which a duel takes votes.

        Raises:
            QueueFullError: The member, the server or the whole queue has reached a limit.
        """
        moment, first, limits = now(), wishes[0], limits or self._limits
        by = Asking(first.interaction_id, first.member_id, first.guild_id)
        if len(wishes) == 1 and first.parent_id is None and not self._sessions.one_writer:
            given = {**by.measured(limits, moment), **_row(first, moment)}
            if (story := await self._added(given)) is not None:
                return [story]
            # It is there already, or there is no room; step by step is told what it is.
        taking = wisher(first.member_id, first.guild_id)
        async with self._sessions.short(taking=taking) as transaction:
            admission = await admit(transaction, by, limits, moment)
            if admission is None:
                rows = await transaction.rows(_KNOWN, {"asked_by": first.interaction_id})
                return [story_of(row) for row in rows]
            begins: dict[str, Any] = {"own": admission.own, "wish": admission.story_id}
            if first.parent_id is not None:
                for row in await transaction.rows(_PART, {"story_id": first.parent_id}):
                    begins["part"] = row["part"] + 1
            row, *others = [_row(wish, moment) | begins for wish in wishes]
            rows = list(await transaction.rows(_SAVED, {**row, "id": admission.story_id}))
            for other in others:
                rows += await transaction.rows(_SAVED, other)
            if first.form is Form.DUEL:
                await transaction.rows(_DUEL_SAVED, _duel(wishes, moment, duel_lasts))
        return [story_of(row) for row in rows]

    async def _added(self, given: dict[str, Any]) -> Story | None:
        """Save a wish in one message to PostgreSQL; None: it is there, or there is no room."""
        async with self._sessions.short(single=True) as transaction:
            assert isinstance(transaction, PostgresqlTransaction)  # noqa: S101  # SQLite's has steps
            return await transaction.called(_AT_ONCE, given)

    async def posted(self, story_id: int, message_id: int, *, answers: bool = True) -> None:
        """Keep which message shows the story, and all others of its interaction.

        `answers`: it is the interaction's answer, which the interaction's token can edit.
        """
        values: dict[str, object] = {"message_id": message_id}
        if not answers:
            values |= {"answer_token": None, "answer_until": None}
        await self._touch(_in_one_message(story_id), values)

    async def answerable(self, story_id: int, token: str) -> None:
        """Keep the token of a new press on the story's message, while the story is not shown."""
        values = {"answer_token": token, "answer_until": now() + TOKEN_LIFE}
        await self._touch(and_(_in_one_message(story_id), Story.shown_at.is_(None)), values)

    async def position(self, story_id: int) -> int | None:
        """Give the story's place among those that its bot tells, 1 being the next; None: none."""
        async with self._sessions() as session:
            return await place(session, story_id, now(), self._sessions.reach)

    async def positions(self) -> dict[int, int]:
        """Give the place of everybody whose story is ours to tell, among them: story id → place."""
        line, given = LINE, {"moment": now()}
        if (reach := self._sessions.reach) is not None:
            line, given = LINE_OF_SHARDS, given | reach.given()
        async with self._sessions() as session:
            return dict((await session.execute(line, given)).all())

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
                **freed(self._sessions.reach, moment),
            )
            .returning(Story)
        )
        async with self._sessions.begin() as session, moving(session, story_id):
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

    async def _move(
        self, story_id: int, *where: ColumnElement[bool], **values: Any
    ) -> Story | None:
        """Change whether a story is in line, or is told, if it is what it should be."""
        statement = update(Story).where(Story.id == story_id, *where).values(**values)
        async with self._sessions.begin() as session, moving(session, story_id):
            story: Story | None = await session.scalar(
                statement.returning(Story), execution_options=PLAIN
            )
            return story

    async def _touch(self, which: ColumnElement[bool], values: dict[str, Any]) -> set[int]:
        """Write into several stories what moves none of them in line; gives which they were."""
        statement = update(Story).where(which).values(**values).returning(Story.id)
        async with self._sessions.begin() as session:
            several = [(row[0],) for row in await take_members(session, which)]
            if len(several) > 1:
                await take(session, [Story.id], several)
            return set(await session.scalars(statement, execution_options=PLAIN))


def _in_one_message(story_id: int) -> ColumnElement[bool]:
    """The stories of the interaction that asked for this one."""
    asked = select(Story.interaction_id).where(Story.id == story_id)
    return Story.interaction_id == asked.scalar_subquery()


def _duel(wishes: Sequence[Wish], moment: dt.datetime, lasts: float) -> dict[str, Any]:
    """The row of a duel."""
    first, second = wishes
    return {
        **{name: getattr(first, name) for name in ("interaction_id", "guild_id", "channel_id")},
        "member_id": first.member_id,
        "model_a": first.model,
        "model_b": second.model,
        "opened_at": moment,
        "closes_at": moment + dt.timedelta(seconds=lasts),
    }


def _row(wish: Wish, moment: dt.datetime) -> dict[str, Any]:
    """The row of a wish, but for where it stands among its member's: behind all others."""
    return {
        **_BEGINS_WITH,
        **{name: getattr(wish, name) for name in Wish.__slots__},
        "asked_at": moment,
        "answer_until": moment + TOKEN_LIFE if wish.answer_token else None,
        "server": -wish.member_id if wish.guild_id is None else wish.guild_id,
        "waits": 1,
    }


_stories = Story.metadata.tables["stories"]
_BEGINS_WITH = {
    column.name: column.default.arg
    for column in _stories.c
    if isinstance(column.default, ColumnDefault)
}
"""What a story has of which its wish says nothing."""
_ROW = sorted(
    {*_BEGINS_WITH, *Wish.__slots__, "asked_at", "answer_until"}
    | {"id", "server", "waits", "own", "wish"}
)
"""What a new story is given."""
# Made once: to make one takes longer than what it does.
_SAVED = insert(_stories).returning(*_stories.c)
_AT_ONCE = Addition(
    # As `wisher` has it.
    takes=[-bindparam("guild", type_=BigInteger), bindparam("member", type_=BigInteger)],
    finds=ROOM,
    notes=NOTE,
    adds=_SAVED,
    adds_columns=_ROW,
    known={"id": "story_id", "wish": "story_id", "own": "own"},
)
_DUEL_SAVED = insert(Duel.metadata.tables["duels"]).returning(Duel.id)
_KNOWN = (
    select(*_stories.c)
    .where(_stories.c.interaction_id == bindparam("asked_by"))
    .order_by(_stories.c.nth)
)
_PART = select(_stories.c.part).where(_stories.c.id == bindparam("story_id"))
