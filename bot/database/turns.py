"""Whose turn it is: kept in the rows of those who wait, so that nobody need look at all of them.

Servers take turns, and in each its members; private messages are a server of their member's own.
A turn counts what is being told already, so that neither a busy server nor a busy member keeps
others waiting: nobody's first wish stands behind another's second. The stories of one interaction
are told together, and are one turn. Of a story in line (it waits or is told) its row says:

- `server`: whose turn it takes;
- `waits`: 0 while one of its interaction is being told, which then goes on with it; else 1;
- `wish`: the first story of its interaction that is in line;
- `own`: which of its member's wishes it is, in all servers together, by `waits` and `wish`.

In its server it stands by `waits`, `own` and `wish`; which one of the server's wishes it is then is
its turn, and everybody stands by that, `own` and the story's number (`bot.database.places`). What a
member has in line depends on that member alone. So whoever changes which stories are in line, or
are told, does it within `moving`, and the member's few rows are put right in the same transaction.
What every story meets is one statement: a wish begins in its place, and of one that is taken or
told a `Move` makes the change and the turns that follow from it.

Two who move one member would each overlook what the other does, and PostgreSQL lets two write at
the same time. So there members are locked until the transaction ends, before any row is: a server
(a wish alone does that, to be counted) before members, members by their number, and then rows. Who
changes several stories in line without moving them takes their members too, or the two would wait
for each other's rows. What is locked is a number, so it need not exist. SQLite has one writer.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    type_coerce,
    update,
)

from bot.database.one_call import Change
from bot.database.tables import State, Story
from bot.database.transactions import PostgresqlTransaction, story_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Select, Subquery, Update
    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.database.transactions import Transaction

LIVE = (State.QUEUED, State.TELLING)
"""In line."""

_stories = Story.metadata.tables["stories"].c
# Statements for every story are made once: to make one takes longer than what it does.


def two_write(dialect: str) -> bool:
    """Whether several transactions may write at the same time."""
    return dialect == "postgresql"


def wisher(member_id: int, guild_id: int | None) -> Sequence[int]:
    """Whom a wish takes: nobody else moves its member, or asks for something in their server."""
    # Members' numbers are positive, so a server's is none of theirs.
    return (member_id,) if guild_id is None else (-guild_id, member_id)


async def take_members(
    session: AsyncSession, which: ColumnElement[bool] | int
) -> list[tuple[int, int]]:
    """Let nobody else move these stories' members until the end; gives (story id, member id).

    `which`: the stories, or the one of that id.
    """
    locks = two_write(session.get_bind().dialect.name)
    if isinstance(which, int):
        rows = await session.execute(_ONE_LOCKED if locks else _ONE, {"story_id": which})
    else:
        rows = await session.execute(_members(which, locks=locks))
    return [(row[0], row[1]) for row in rows]


@asynccontextmanager
async def moving(session: AsyncSession, which: ColumnElement[bool] | int) -> AsyncIterator[None]:
    """Change whether stories are in line, or are told; on leaving their members' turns are right.

    Args:
        session: The transaction's, which has taken no rows yet.
        which: The stories, or more of them, or the one of that id.
    """
    stories = await take_members(session, which)
    yield
    await put_right(session, [row[0] for row in stories], {row[1] for row in stories})


async def put_right(
    session: AsyncSession, story_ids: Sequence[int], member_ids: Collection[int]
) -> None:
    """Write the turns of these members anew, and of stories of theirs that may be over.

    The members are taken already.
    """
    if member_ids:
        which = {"story_ids": story_ids, "member_ids": list(member_ids)}
        await session.execute(_RIGHT, which)


async def put_all_right(session: AsyncSession) -> None:
    """Write the turns of everybody in line anew."""
    await session.execute(_turns(_stories.shown_at.is_(None)))


def _members(which: ColumnElement[bool], *, locks: bool) -> Select[Any]:
    stories = (
        select(_stories.id, _stories.member_id).where(which).order_by(_stories.member_id).subquery()
    )
    lock = [func.pg_advisory_xact_lock(stories.c.member_id)] if locks else []
    return select(stories.c.id, stories.c.member_id, *lock)


class Move:
    """A change of a story that is not shown, with which its member's turns are written anew."""

    def __init__(self, story: ColumnElement[bool], becomes: Mapping[str, Any]) -> None:
        """Write it down, once.

        Args:
            story: Which one, its `story_id`, and what it must be; if it is not, nothing changes.
            becomes: Its values afterwards, its state among them.
        """
        unshown = _stories.shown_at.is_(None)
        it_moves = and_(story, unshown)
        # Asked for by itself, so that a database looks up the member's rows and no others.
        member = select(_stories.member_id).where(it_moves).correlate(None).scalar_subquery()
        moves_to = literal(becomes["state"], _stories.state.type)
        state = case((it_moves, moves_to), else_=_stories.state)
        theirs = and_(_stories.member_id == member, unshown)
        ranked = _ranked(theirs, state, it_moves.label("it_moves"))
        values = {
            name: case(
                (ranked.c.it_moves, type_coerce(value, _stories[name].type)), else_=_stories[name]
            )
            for name, value in becomes.items()
        }
        changed = _written(ranked, ranked.c.it_moves, **values)
        self._change = changed.returning(*_stories)
        self._alone = self.of(_ONE_LOCKED)

    def of(self, finds: Select[Any], *, again: bool = False) -> Change:
        """Make it one call for PostgreSQL, of the story that a statement finds and takes."""
        return Change(finds, self._change, again=again)

    async def made(
        self, transaction: Transaction, story_id: int, given: Mapping[str, Any]
    ) -> Story | None:
        """Make it; gives the story, or None where it was not what it must be."""
        of_one = {"story_id": story_id, **given}
        if isinstance(transaction, PostgresqlTransaction):
            if transaction.single:
                return await transaction.called(self._alone, of_one)
            await transaction.rows(_ONE_LOCKED, {"story_id": story_id})
        changed = await transaction.rows(self._change, of_one)
        return next((story_of(row) for row in changed if row["id"] == story_id), None)


def _turns(which: ColumnElement[bool]) -> Update:
    """Write the turns of stories anew, among which are all in line of their members."""
    return _written(_ranked(which, _stories.state))


def _ranked(
    which: ColumnElement[bool], state: ColumnElement[State], *more: ColumnElement[Any]
) -> Subquery:
    """Where stories stand that are in these states, of which some may be over; and more of them."""
    in_line = case((and_(_stories.shown_at.is_(None), state.in_(LIVE)), 1), else_=0)
    of_one_interaction = (in_line, _stories.interaction_id)
    rows = (
        select(
            _stories.id,
            _stories.member_id,
            in_line.label("in_line"),
            # Private messages are a server of their member's own.
            func.coalesce(_stories.guild_id, -_stories.member_id).label("server"),
            func.min(case((state == State.TELLING, 0), else_=1))
            .over(partition_by=of_one_interaction)
            .label("waits"),
            func.min(_stories.id).over(partition_by=of_one_interaction).label("wish"),
            *more,
        )
        .where(which)
        .subquery()
    )
    own = func.dense_rank().over(
        partition_by=(rows.c.in_line, rows.c.member_id), order_by=(rows.c.waits, rows.c.wish)
    )
    return select(rows, own.label("own")).subquery()


def _written(ranked: Subquery, *anyway: ColumnElement[bool], **more: Any) -> Update:
    """Write where stories stand into those of them that stand elsewhere, or `anyway`; and more."""
    turns = {
        name: case((ranked.c.in_line == 1, ranked.c[name]))
        for name in ("server", "waits", "wish", "own")
    }
    changed = (_stories[name].is_distinct_from(turn) for name, turn in turns.items())
    return (
        update(Story.metadata.tables["stories"])
        .where(_stories.id == ranked.c.id, or_(*anyway, *changed))
        .values({**more, **turns})
    )


_RIGHT = _turns(
    or_(
        _stories.id.in_(bindparam("story_ids", expanding=True)),
        and_(
            _stories.member_id.in_(bindparam("member_ids", expanding=True)),
            _stories.shown_at.is_(None),
        ),
    )
)
_ONE, _ONE_LOCKED = (
    _members(_stories.id == bindparam("story_id"), locks=locks) for locks in (False, True)
)
