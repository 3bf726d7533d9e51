"""Who waits, who may be taken, and in which order, as SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, case, func, or_, select

from bot.database.clock import now
from bot.database.tables import State, Story

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import ColumnElement, Select

LIVE = (State.QUEUED, State.TELLING)
ENDED = (State.TOLD, State.FAILED, State.CANCELLED, State.EXPIRED)


def free(story: type[Story], moment: dt.datetime) -> ColumnElement[bool]:
    """Nobody holds its lease, and it does not rest after a failure."""
    return or_(story.lease_until.is_(None), story.lease_until < moment)


def held(owner: str) -> ColumnElement[bool]:
    """The owner has its lease: to tell it, or to show how it ended."""
    return and_(Story.shown_at.is_(None), Story.lease_owner == owner)


def waiting(story: type[Story], moment: dt.datetime) -> ColumnElement[bool]:
    """Queued, or begun by a bot that died."""
    return and_(
        story.shown_at.is_(None),
        or_(
            story.state == State.QUEUED,
            and_(story.state == State.TELLING, free(story, moment)),
        ),
    )


def line() -> Select[int, int]:
    """Everybody who waits, in order: (story id, place), 1 being the next.

    A story's turn is the number of its member's stories being told plus its rank among the
    member's own waiting ones, so nobody's first wish stands behind another's second.
    """
    waits = case((waiting(Story, now()), 1), else_=0)
    # Those being told come first in the count of their member's.
    turn = func.row_number().over(partition_by=Story.member_id, order_by=(waits, Story.id))
    live = (
        select(Story.id, waits.label("waits"), turn.label("turn"))
        .where(Story.shown_at.is_(None), Story.state.in_(LIVE))
        .subquery()
    )
    place = func.row_number().over(order_by=(live.c.turn, live.c.id)).label("place")
    return select(live.c.id, place).where(live.c.waits == 1).order_by(place)
