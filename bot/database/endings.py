"""How a story's end is shown, at last; and the end of what nobody tells."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, case, func, literal, or_, select, update
from sqlalchemy.orm import aliased

from bot.database.claims import Claims
from bot.database.clock import now
from bot.database.in_order import take
from bot.database.places import ENDED, MOMENT, free, held, waiting
from bot.database.reach import ours
from bot.database.sagas import next_part
from bot.database.tables import Length, State, Story
from bot.database.turns import LIVE, moving, put_right, take_members
from bot.database.unbroken import unbroken
from bot.database.wishes import PLAIN

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import BindParameter, ColumnElement
    from sqlalchemy.sql.dml import ReturningUpdate

    from bot.config import Queue as QueueSettings
    from bot.database.sessions import Sessions

PATIENCE = dt.timedelta(days=30)
"""How long an ending that nobody could be shown is tried again; then it is left in peace."""
FEW = 500
"""Stories that one transaction sweeps."""


@unbroken
class Endings(Claims):
    """What is done with stories that came to an end; each method is short transactions."""

    def __init__(self, sessions: Sessions, settings: QueueSettings) -> None:
        super().__init__(sessions, settings)
        self._expiry = dt.timedelta(seconds=settings.expire_after)

    async def abandon(self, story_id: int, owner: str, error: str) -> None:
        """Close a story that has nowhere left to be shown; what was told stays saved."""
        moment = now()
        await self._move(
            story_id,
            held(owner),
            state=case((Story.state.in_(LIVE), State.CANCELLED), else_=Story.state),
            error=error,
            ended_at=func.coalesce(Story.ended_at, moment),
            **_over(moment),
        )

    async def shown(self, story_id: int, state: State) -> None:
        """Note that the last word about the story stands in the channel; a saga then goes on.

        `state`: the end that stands there. A story that was called off meanwhile came to another,
        and that one is still to be shown.
        """
        moment = now()
        end = {"story_id": story_id, "end": state, "moment": moment}
        async with self._sessions.short(single=True) as transaction:
            postgresql = transaction.dialect == "postgresql"
            if await transaction.rows(_SHOWN_SOON if postgresql else _SHOWN, end):
                return
        if state is State.TOLD:
            async with self._sessions.begin() as session:
                await take_members(session, story_id)
                part = (await session.execute(next_part(session, story_id, moment))).one_or_none()
                if part is not None:
                    await put_right(session, [part.id], {part.member_id})
                await session.execute(_PART_SHOWN, end)

    async def stood(self, story_id: int, text: str) -> None:
        """Keep the words that stand of a story whose last teller died before it could save them."""
        ended = and_(Story.id == story_id, Story.state.in_((State.FAILED, State.EXPIRED)))
        await self._touch(and_(ended, Story.removed_at.is_(None)), {"text": text})

    async def postpone(self, story_id: int, owner: str) -> None:
        """Let an ended story that could not be shown rest for as long as a lease."""
        rests = {"lease_owner": None, "lease_until": now() + self._lease}
        async with self._sessions.begin() as session:
            await session.execute(
                update(Story).where(Story.id == story_id, held(owner)).values(**rests),
                execution_options=PLAIN,
            )

    async def unshown(self, owner: str, limit: int, *, busy: Collection[int] = ()) -> list[Story]:
        """Take stories whose end nobody shows, oldest first; `busy` as in `claim`."""
        moment = now()
        ended = aliased(Story)
        chosen = (
            select(ended.id)
            .where(
                ended.shown_at.is_(None),
                ended.state.in_(ENDED),
                free(ended, moment),
                ended.id.not_in(busy),
                ours(self._sessions.reach, ended.guild_id),
            )
            .order_by(ended.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        statement = (
            update(Story)
            .where(Story.id.in_(chosen))
            .values(lease_owner=owner, lease_until=moment + self._lease)
        )
        async with self._sessions.begin() as session:
            stories = await session.scalars(statement.returning(Story), execution_options=PLAIN)
            return sorted(stories, key=lambda story: story.id)

    async def sweep(self) -> None:
        """End what waited too long, and what was begun too often by bots that died of it.

        Endings that could not be shown for so long are given up, and tokens that died forgotten.
        """
        moment = now()
        idle = and_(waiting(Story, moment), free(Story, moment))
        await self._sweep(
            and_(idle, Story.asked_at <= moment - self._expiry),
            {"state": State.EXPIRED, "ended_at": moment},
        )
        died = func.coalesce(Story.error, "the bot died each time it told this story")
        await self._sweep(
            and_(idle, Story.attempts >= self._settings.attempts),
            {"state": State.FAILED, "ended_at": moment, "error": died},
        )
        never_shown = and_(Story.shown_at.is_(None), Story.state.in_(ENDED))
        await self._sweep(and_(never_shown, Story.ended_at <= moment - PATIENCE), _over(moment))
        await self._sweep(
            and_(Story.answer_token.is_not(None), Story.answer_until <= moment),
            {"answer_token": None, "answer_until": None},
        )

    async def _sweep(self, which: ColumnElement[bool], values: dict[str, Any]) -> None:
        """Change all of some stories, which are none of them afterwards; a few at a time."""
        some = select(Story.id).where(which).limit(FEW)
        while True:
            async with self._sessions.begin() as session:
                story_ids = list(await session.scalars(some))
                if not story_ids:
                    return
                theirs = Story.id.in_(story_ids)
                async with moving(session, theirs):
                    await take(session, [Story.id], [(story_id,) for story_id in story_ids])
                    await session.execute(
                        update(Story).where(theirs, which).values(**values),
                        execution_options=PLAIN,
                    )


def _over(moment: dt.datetime | BindParameter[dt.datetime]) -> dict[str, Any]:
    """What a story has that nobody works on any more."""
    return {
        "shown_at": moment,
        "lease_owner": None,
        "lease_until": None,
        "answer_token": None,
        "answer_until": None,
    }


def _shown(*which: ColumnElement[bool]) -> ReturningUpdate[int]:
    """Close a story that ended as it is said, if it is one of these; gives its id."""
    return (
        update(Story.metadata.tables["stories"])
        .where(
            Story.id == bindparam("story_id"),
            Story.state == bindparam("end", type_=Story.state.type),
            *which,
        )
        .values(_over(MOMENT))
        .returning(Story.metadata.tables["stories"].c.id)
    )


# Made once: to make one takes longer than what it does.
_SHOWN = _shown(or_(Story.length != Length.SAGA, Story.state != State.TOLD))
# PostgreSQL's disk is not waited for: if its machine dies in that second, the same end is written
# into the same message again.
_SHOWN_SOON = _SHOWN.returning(func.set_config("synchronous_commit", "off", literal(True)))
_PART_SHOWN = _shown()
