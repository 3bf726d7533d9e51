"""Who waits, who may be taken, and at which place, as SQL; `turns` has the order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.orm import aliased

from bot.database.columns import Moment
from bot.database.reach import within
from bot.database.tables import State, Story

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import CTE, BindParameter, Select
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import InstrumentedAttribute

    from bot.database.reach import Reach

    _Moment = dt.datetime | BindParameter[dt.datetime]

ENDED = (State.TOLD, State.FAILED, State.CANCELLED, State.EXPIRED)
AFTER_ALL = 2
"""More than any `waits`."""
MOMENT = bindparam("moment", type_=Moment)
"""Now."""


def free(story: type[Story], moment: _Moment) -> ColumnElement[bool]:
    """Nobody holds its lease, and it does not rest after a failure."""
    return or_(story.lease_until.is_(None), story.lease_until < moment)


def held(owner: str | BindParameter[str]) -> ColumnElement[bool]:
    """The owner has its lease: to tell it, or to show how it ended."""
    return and_(Story.shown_at.is_(None), Story.lease_owner == owner)


def waiting(story: type[Story], moment: _Moment) -> ColumnElement[bool]:
    """Queued, or begun by a bot that died."""
    return and_(story.shown_at.is_(None), waiting_in_line(story, moment))


def waiting_in_line(story: type[Story], moment: _Moment) -> ColumnElement[bool]:
    """The same of a story that is in line, and so not shown."""
    return or_(
        story.state == State.QUEUED,
        and_(story.state == State.TELLING, free(story, moment)),
    )


def _stands(story: Any) -> tuple[InstrumentedAttribute[int | None], ...]:
    """Where it stands in its server."""
    return (story.waits, story.own, story.wish)


def _servers() -> CTE:
    """Every server that has a story in line; the last row is none.

    Each is looked up after the one before it, which reads no more of the index than that.
    """
    servers = select(func.min(Story.server).label("server")).where(Story.server.is_not(None))
    found = servers.cte("servers", recursive=True)
    following = select(func.min(Story.server)).where(Story.server > found.c.server)
    return found.union_all(select(following.scalar_subquery()).where(found.c.server.is_not(None)))


def _turn(story: Any) -> ColumnElement[int]:
    """How many of its server's wishes stand before it: one less than its turn."""
    before = aliased(Story)
    return (
        select(func.count(before.wish.distinct()))
        .where(before.server == story.server, tuple_(*_stands(before)) < tuple_(*_stands(story)))
        .scalar_subquery()
    )


MayBeTaken = Callable[[type[Story]], list[ColumnElement[bool]]]


def heads(may_be_taken: MayBeTaken) -> Select[int, int]:
    """The first of each server that may be taken, in order: (story id, member id)."""
    servers, chosen, head = _servers(), aliased(Story), aliased(Story)
    first = (
        select(chosen.id)
        .where(chosen.server == servers.c.server, *may_be_taken(chosen))
        .order_by(*_stands(chosen), chosen.id)
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(head.id, head.member_id)
        .join_from(servers, head, head.id == first)
        .order_by(_turn(head), head.own, head.id)
    )


def lateral_heads(may_be_taken: MayBeTaken) -> Select[int, int]:
    """The same for PostgreSQL, which goes from one of them straight to that of the next server."""
    first, later = aliased(Story), aliased(Story)
    head = _first(first, first.server.is_not(None), may_be_taken).cte("heads", recursive=True)
    following = _first(later, later.server > head.c.server, may_be_taken).lateral()
    head = head.union_all(select(following).join_from(head, following, true()))
    return select(head.c.id, head.c.member_id).order_by(_turn(head.c), head.c.own, head.c.id)


def _first(story: type[Story], which: ColumnElement[bool], may_be_taken: MayBeTaken) -> Select[Any]:
    """The first of the first of these servers that has one which may be taken."""
    columns: tuple[Any, ...] = (story.id, story.member_id, story.server, *_stands(story))
    return (
        select(*columns)
        .where(which, *may_be_taken(story))
        .order_by(story.server, *_stands(story), story.id)
        .limit(1)
    )


async def place(
    session: AsyncSession, story_id: int, moment: dt.datetime, reach: Reach | None = None
) -> int | None:
    """Find a story's place, 1 being the next; None when it does not wait.

    `reach`: of one of several bots. Only those wait before a story whose own bot tells it as well:
    how fast the others go on, and in which servers, moves nobody here.
    """
    given: dict[str, Any] = {"story_id": story_id, "moment": moment}
    mine = (await session.execute(_MINE, given)).one_or_none()
    if mine is None:
        return None
    before, given = _BEFORE, {**given, "mine": mine.own, "turn": mine.turn}
    if reach is not None:
        before, given = _BEFORE_OF_SHARDS, given | reach.beside(mine.guild_id)
    return 1 + int(await session.scalar(before, given) or 0)


def _before(*, of_shards: bool = False) -> Select[int]:
    """How many wait before a story, of whose server so many wishes have their `turn` before it."""
    servers, lead, same, earlier, equal = _servers(), *(aliased(Story) for _ in range(4))
    # Private messages are a server of their member's own, below zero.
    some = [within(case((servers.c.server > 0, servers.c.server)))] if of_shards else []
    # The wish of each server whose turn comes at that time, if it has one. None comes before the
    # first of its wish; of "is the first" PostgreSQL would think that hardly any is.
    of_that_turn = (
        select(lead.id)
        .where(lead.server == servers.c.server, lead.id <= lead.wish)
        .order_by(*_stands(lead))
        .limit(1)
        .offset(bindparam("turn", type_=Integer))
        .scalar_subquery()
    )
    edge = (
        select(servers.c.server, of_that_turn.label("wish"))
        .where(servers.c.server.is_not(None), *some)
        .cte("edges")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    here = (func.coalesce(same.waits, AFTER_ALL), *(func.coalesce(n, 0) for n in _stands(same)[1:]))
    mine = (bindparam("mine", type_=Integer), bindparam("story_id", type_=BigInteger))
    sooner = _count(
        earlier, earlier.server == edge.c.server, tuple_(*_stands(earlier)) < tuple_(*here)
    )
    beside = _count(
        equal,
        equal.server == same.server,
        tuple_(*_stands(equal)) == tuple_(*_stands(same)),
        tuple_(equal.own, equal.id) < tuple_(*mine),
    )
    joined = select(func.sum(sooner + beside)).select_from(edge)
    return joined.outerjoin(same, same.id == edge.c.wish)


def _count(story: type[Story], *where: ColumnElement[bool]) -> ColumnElement[int]:
    """How many of some in line wait; of nearly all the index alone says it."""
    count = select(func.count()).select_from(story)
    most = count.where(*where, story.waits == 1)
    rest = count.where(*where, story.waits == 0, waiting(story, MOMENT))
    return most.scalar_subquery() + rest.scalar_subquery()


def _line(*which: ColumnElement[bool]) -> Select[Any]:
    """Everybody who waits at a `moment`, in order: (story id, place), 1 being the next."""
    turn = func.dense_rank().over(partition_by=Story.server, order_by=_stands(Story))
    everybody = (
        select(
            Story.id,
            Story.own,
            turn.label("turn"),
            waiting(Story, MOMENT).label("waiting"),
        )
        .where(Story.server.is_not(None), *which)
        .subquery()
    )
    order = (everybody.c.turn, everybody.c.own, everybody.c.id)
    place = func.row_number().over(order_by=order).label("place")
    line = select(everybody.c.id, place).where(everybody.c.waiting).subquery()
    return select(line.c.id, line.c.place).order_by(line.c.place)


# Made once: to make one takes longer than it does.
_MINE = select(Story.own, Story.guild_id, _turn(Story).label("turn")).where(
    Story.id == bindparam("story_id"), Story.server.is_not(None), waiting(Story, MOMENT)
)
_BEFORE, _BEFORE_OF_SHARDS = _before(), _before(of_shards=True)
LINE = _line()
LINE_OF_SHARDS = _line(within(Story.guild_id))
"""The same of those whose servers are of the given shards, as if there were no others."""
