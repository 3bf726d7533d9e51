"""Who tells a story: taken by one conditional UPDATE that also sets a lease, and given back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, String, and_, any_, bindparam, case, func, not_, select, true, update

from bot.database.clock import now
from bot.database.columns import Moment
from bot.database.places import MOMENT, free, heads, held, lateral_heads, waiting, waiting_in_line
from bot.database.reach import ours, within
from bot.database.tables import State, Story
from bot.database.transactions import PostgresqlTransaction
from bot.database.turns import Move, moving
from bot.database.unbroken import unbroken
from bot.database.wishes import PLAIN, Wishes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import InstrumentedAttribute

    from bot.config import Queue as QueueSettings
    from bot.database.places import MayBeTaken
    from bot.database.sessions import Sessions


@unbroken
class Claims(Wishes):
    """The leases of those who tell stories; each method is one short transaction."""

    def __init__(self, sessions: Sessions, settings: QueueSettings) -> None:
        super().__init__(sessions, settings)
        self._lease = dt.timedelta(seconds=settings.lease)

    async def claim(
        self,
        owner: str,
        *,
        resting: Collection[str] = (),
        busy: Collection[int] = (),
        only: Collection[int] | None = None,
    ) -> Story | None:
        """Take the next story to tell; None when there is none.

        Args:
            owner: Who holds the lease from now on.
            resting: Models whose server cannot tell now; their stories wait.
            busy: Stories that the owner still works on, though their lease may have run out.
            only: Take one of these stories, or none.
        """
        while True:
            moment = now()
            given: dict[str, Any] = {
                "moment": moment,
                "most": self._settings.attempts,
                "resting": list(resting),
                "busy": list(busy),
            }
            which = Which.ALL
            if only is not None:
                which, given["only"] = Which.ONLY, list(only)
            elif (reach := self._sessions.reach) is not None:
                which = Which.OF_SHARDS
                given |= reach.given()
            taken = {"moment": moment, "owner": owner, "until": moment + self._lease}
            async with self._sessions.short(single=True) as transaction:
                if isinstance(transaction, PostgresqlTransaction):
                    free = _FREE_TAKEN[which]
                    if (story := await transaction.called(free, given | taken)) is not None:
                        return story
                    # All are being moved. Nothing is held while waiting for one of them.
                    finds = _NEXT_OF_ALL
                else:
                    finds = _NEXT
                story_id = _id(await transaction.rows(finds[which], given))
                if story_id is None:
                    return None
                # Asked once more of the row: another may have been quicker.
                if (story := await _TAKEN.made(transaction, story_id, taken)) is not None:
                    return story

    async def renew(self, owner: str, story_ids: Collection[int]) -> set[int]:
        """Extend the leases of these stories; gives those that are still the owner's."""
        theirs = and_(Story.id.in_(story_ids), held(owner))
        return await self._touch(theirs, {"lease_until": now() + self._lease})

    async def held(self, owner: str) -> set[int]:
        """Give the stories whose lease the owner has."""
        async with self._sessions() as session:
            return set(await session.scalars(select(Story.id).where(held(owner))))

    async def release(
        self, owner: str, story_ids: Collection[int], texts: Mapping[int, str] | None = None
    ) -> None:
        """Give stories back as if they had not been claimed: nobody is at fault.

        `texts`: what is shown of those that were being told, which stays until there is more.
        """
        text = case(dict(texts), value=Story.id, else_=Story.text) if texts else Story.text
        theirs, begun = and_(Story.id.in_(story_ids), held(owner)), Story.state == State.TELLING
        async with self._sessions.begin() as session, moving(session, theirs):
            await session.execute(
                update(Story)
                .where(theirs)
                .values(
                    text=text,
                    state=case((begun, State.QUEUED), else_=Story.state),
                    attempts=case((begun, Story.attempts - 1), else_=Story.attempts),
                    lease_owner=None,
                    lease_until=None,
                ),
                execution_options=PLAIN,
            )

    async def release_dead(self, living: Collection[str]) -> None:
        """End the leases that nobody of the living has, among the stories that are ours to tell."""
        dead = and_(
            Story.shown_at.is_(None),
            Story.lease_owner.is_not(None),
            Story.lease_owner.not_in(living),
            ours(self._sessions.reach, Story.guild_id),
        )
        await self._touch(dead, {"lease_owner": None, "lease_until": None})

    async def release_all(self) -> None:
        """End every lease at once. Only for who knows that all their owners are dead.

        Nobody else writes yet, so nobody is waited for.
        """
        async with self._sessions.begin() as session:
            await session.execute(
                update(Story)
                .where(Story.shown_at.is_(None), Story.lease_until.is_not(None))
                .values(lease_owner=None, lease_until=None),
                execution_options=PLAIN,
            )


def _id(rows: Sequence[Any]) -> int | None:
    return rows[0]["id"] if rows else None


class Which(IntEnum):
    """Whose stories are taken."""

    ALL = 0
    ONLY = 1
    """Some, which are known."""
    OF_SHARDS = 2
    """Those of some shards."""


_OneOf = Callable[["InstrumentedAttribute[Any]", str], "ColumnElement[bool]"]
"""How a database is asked whether a column is in a list that is given; or that it is not."""


def _may_be_taken(one_of: _OneOf, none_of: _OneOf, which: Which) -> MayBeTaken:
    """Which may be taken."""

    def conditions(chosen: type[Story]) -> list[ColumnElement[bool]]:
        some = [one_of(chosen.id, "only")] if which is Which.ONLY else []
        if which is Which.OF_SHARDS:
            some.append(within(chosen.guild_id))
        return [
            waiting_in_line(chosen, MOMENT),
            free(chosen, MOMENT),
            chosen.attempts < bindparam("most"),
            none_of(chosen.model, "resting"),
            none_of(chosen.id, "busy"),
            *some,
        ]

    return conditions


def _in_list(column: InstrumentedAttribute[Any], name: str) -> ColumnElement[bool]:
    return column.in_(bindparam(name, expanding=True))


def _not_in_list(column: InstrumentedAttribute[Any], name: str) -> ColumnElement[bool]:
    return not_(_in_list(column, name))


def _in_array(column: InstrumentedAttribute[Any], name: str) -> ColumnElement[bool]:
    return column == any_(bindparam(name, type_=ARRAY(column.type)))


def _not_in_array(column: InstrumentedAttribute[Any], name: str) -> ColumnElement[bool]:
    # Of "differs from all" PostgreSQL would think, not knowing the array, that it leaves next to
    # nothing, and sort everybody for each server rather than read the line in its order.
    place = func.array_position(bindparam(name, type_=ARRAY(column.type)), column)
    return (place > 0).is_not(true())


def _of_who_is_free(order: Select[int, int]) -> Select[int]:
    """The first whose member nobody moves; that member is taken."""
    # The limit keeps PostgreSQL from taking members in another order.
    in_order = order.limit(MANY).subquery()
    taken = func.pg_try_advisory_xact_lock(in_order.c.member_id)
    return select(in_order.c.id).where(taken).limit(1)


MANY = 32
"""Of how many servers the first is looked at where several take stories at once."""
# By whose stories are taken; of several bots none has SQLite.
_NEXT = [
    heads(_may_be_taken(_in_list, _not_in_list, which)).limit(1)
    for which in (Which.ALL, Which.ONLY)
]
_IN_ORDER = [lateral_heads(_may_be_taken(_in_array, _not_in_array, which)) for which in Which]
_NEXT_OF_ALL = [order.limit(1) for order in _IN_ORDER]
_TAKEN = Move(
    and_(Story.id == bindparam("story_id"), waiting(Story, MOMENT), free(Story, MOMENT)),
    {
        "state": State.TELLING,
        "lease_owner": bindparam("owner", type_=String),
        "lease_until": bindparam("until", type_=Moment),
        "attempts": Story.attempts + 1,
    },
)
_FREE_TAKEN = [_TAKEN.of(_of_who_is_free(order), again=True) for order in _IN_ORDER]
