"""Who waits, who may be taken, and in which order, as SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import aliased

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


def head(chosen: type[Story], moment: dt.datetime) -> list[ColumnElement[bool]]:
    """What the oldest story that may be taken has to be, to be the first of `line`.

    It is the oldest of a member, and neither they nor their server hear anything now. Everybody is
    put in order only where nobody is like that: with ten thousand who wait that takes long, and
    then most of them are. A story that rests, or whose model does, takes no turn here.
    """
    begun = [Story.shown_at.is_(None), Story.state == State.TELLING]
    telling, older = aliased(Story), aliased(Story)
    return [
        chosen.shown_at.is_(None),
        chosen.state == State.QUEUED,
        _server(chosen).not_in(select(_server(Story)).where(*begun)),
        chosen.member_id.not_in(select(Story.member_id).where(*begun)),
        ~select(older.id)
        .where(
            older.shown_at.is_(None),
            older.state == State.QUEUED,
            older.member_id == chosen.member_id,
            older.id < chosen.id,
            older.interaction_id != chosen.interaction_id,
        )
        .exists(),
        # What a dead bot had begun, and the rest of an interaction that is being told, go first.
        ~select(Story.id).where(*begun, free(Story, moment)).exists(),
        ~select(telling.id)
        .where(
            telling.shown_at.is_(None),
            telling.state == State.TELLING,
            select(older.id)
            .where(older.interaction_id == telling.interaction_id, older.state == State.QUEUED)
            .exists(),
        )
        .exists(),
    ]


def _server(story: type[Story]) -> ColumnElement[int]:
    """The server of a story; private messages are one of their member's own."""
    return func.coalesce(story.guild_id, -story.member_id)


def line() -> Select[int, int]:
    """Everybody who waits, in order: (story id, place), 1 being the next.

    Servers take turns, and in each its members; private messages are a server of their member's
    own. A turn counts what is being told already, so that neither a busy server nor a busy member
    keeps others waiting: nobody's first wish stands behind another's second. The stories of one
    interaction are told together, and are one turn.
    """
    waits = case((waiting(Story, now()), 1), else_=0)
    live = (
        select(
            Story.id,
            Story.member_id,
            _server(Story).label("server"),
            waits.label("waits"),
            # Those being told come first, and take the rest of their interaction with them.
            func.min(waits).over(partition_by=Story.interaction_id).label("begun"),
            func.min(Story.id).over(partition_by=Story.interaction_id).label("wish"),
        )
        .where(Story.shown_at.is_(None), Story.state.in_(LIVE))
        .subquery()
    )
    own = func.dense_rank().over(
        partition_by=live.c.member_id, order_by=(live.c.begun, live.c.wish)
    )
    members = select(live, own.label("own")).subquery()
    turn = func.dense_rank().over(
        partition_by=members.c.server, order_by=(members.c.begun, members.c.own, members.c.wish)
    )
    servers = select(members, turn.label("turn")).subquery()
    place = (
        func.row_number()
        .over(order_by=(servers.c.turn, servers.c.own, servers.c.id))
        .label("place")
    )
    return select(servers.c.id, place).where(servers.c.waits == 1).order_by(place)
