"""Who tells a story: taken by one conditional UPDATE that also sets a lease, and given back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, String, and_, any_, bindparam, case, func, not_, select, true, update

from bot.database.clock import now
from bot.database.columns import Moment
from bot.database.places import MOMENT, free, heads, held, lateral_heads, waiting, waiting_in_line
from bot.database.tables import State, Story
from bot.database.transactions import DriverTransaction
from bot.database.turns import Move, moving
from bot.database.unbroken import unbroken
from bot.database.wishes import PLAIN, Wishes

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

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
            if only is not None:
                given["only"] = list(only)
            taken = {"moment": moment, "owner": owner, "until": moment + self._lease}
            async with self._sessions.short(single=True) as transaction:
                if isinstance(transaction, DriverTransaction):
                    free = _FREE_TAKEN[only is not None]
                    if (story := await transaction.called(free, given | taken)) is not None:
                        return story
                    # All are being moved. Nothing is held while waiting for one of them.
                    finds = _NEXT_OF_ALL
                else:
                    finds = _NEXT
                story_id = _id(await transaction.rows(finds[only is not None], given))
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

    async def release(self, owner: str, story_ids: Collection[int]) -> None:
        """Give stories back as if they had not been claimed: nobody is at fault."""
        theirs, begun = and_(Story.id.in_(story_ids), held(owner)), Story.state == State.TELLING
        async with self._sessions.begin() as session, moving(session, theirs):
            await session.execute(
                update(Story)
                .where(theirs)
                .values(
                    state=case((begun, State.QUEUED), else_=Story.state),
                    attempts=case((begun, Story.attempts - 1), else_=Story.attempts),
                    lease_owner=None,
                    lease_until=None,
                ),
                execution_options=PLAIN,
            )

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


_OneOf = Callable[["InstrumentedAttribute[Any]", str], "ColumnElement[bool]"]
"""How a database is asked whether a column is in a list that is given; or that it is not."""


def _may_be_taken(one_of: _OneOf, none_of: _OneOf, *, only: bool) -> MayBeTaken:
    """Which may be taken."""

    def conditions(chosen: type[Story]) -> list[ColumnElement[bool]]:
        some = [one_of(chosen.id, "only")] if only else []
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
# By whether only some stories may be taken.
_NEXT = [heads(_may_be_taken(_in_list, _not_in_list, only=only)).limit(1) for only in (False, True)]
_IN_ORDER = [
    lateral_heads(_may_be_taken(_in_array, _not_in_array, only=only)) for only in (False, True)
]
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
