"""Who tells a story: taken by one conditional UPDATE that also sets a lease, and given back."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, and_, any_, bindparam, case, func, not_, select, update

from bot.database.clock import now
from bot.database.places import MOMENT, free, heads, held, lateral_heads, waiting, waiting_in_line
from bot.database.tables import State, Story
from bot.database.turns import moved, moving, one_moves, take_member_of, two_write
from bot.database.unbroken import unbroken
from bot.database.wishes import PLAIN, Wishes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import InstrumentedAttribute

    from bot.config import Queue as QueueSettings
    from bot.database.places import MayBeTaken
    from bot.database.sessions import Sessions
    from bot.database.transactions import Transaction


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
            given: dict[str, Any] = {
                "moment": now(),
                "most": self._settings.attempts,
                "resting": list(resting),
                "busy": list(busy),
            }
            if only is not None:
                given["only"] = list(only)
            async with self._sessions.short() as transaction:
                story_id = await _first(transaction, given)
                if story_id is None:
                    return None
                moment = now()
                taken = {"moment": moment, "owner": owner, "until": moment + self._lease}
                # Asked once more of the row: another may have been quicker.
                story = await moved(transaction, _TAKEN, story_id, taken)
                if story is not None:
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


async def _first(transaction: Transaction, given: dict[str, Any]) -> int | None:
    """Find who is to be told next, and take their member: the story's id."""
    only = "only" in given
    if not two_write(transaction.dialect):
        return _id(await transaction.rows(_NEXT[only], given))
    story_id = _id(await transaction.rows(_NEXT_FREE[only], given))
    if story_id is None:
        story_id = _id(await transaction.rows(_NEXT_OF_ALL[only], given))
        if story_id is not None:
            # All are being moved now. Nothing is held while waiting for one.
            await take_member_of(transaction, story_id)
    return story_id


def _id(rows: Sequence[Any]) -> int | None:
    return rows[0]["id"] if rows else None


def _may_be_taken(
    one_of: Callable[[InstrumentedAttribute[Any], str], ColumnElement[bool]], *, only: bool
) -> MayBeTaken:
    """Which may be taken; `one_of`: how a database is asked whether a column is in a list."""

    def conditions(chosen: type[Story]) -> list[ColumnElement[bool]]:
        some = [one_of(chosen.id, "only")] if only else []
        return [
            waiting_in_line(chosen, MOMENT),
            free(chosen, MOMENT),
            chosen.attempts < bindparam("most"),
            not_(one_of(chosen.model, "resting")),
            not_(one_of(chosen.id, "busy")),
            *some,
        ]

    return conditions


def _in_list(column: InstrumentedAttribute[Any], name: str) -> ColumnElement[bool]:
    return column.in_(bindparam(name, expanding=True))


def _in_array(column: InstrumentedAttribute[Any], name: str) -> ColumnElement[bool]:
    return column == any_(bindparam(name, type_=ARRAY(column.type)))


def _of_who_is_free(order: Select[int, int]) -> Select[int]:
    """The first whose member nobody moves; that member is taken."""
    # The limit keeps PostgreSQL from taking members in another order.
    in_order = order.limit(MANY).subquery()
    taken = func.pg_try_advisory_xact_lock(in_order.c.member_id)
    return select(in_order.c.id).where(taken).limit(1)


MANY = 32
"""Of how many servers the first is looked at where several take stories at once."""
# By whether only some stories may be taken.
_NEXT = [heads(_may_be_taken(_in_list, only=only)).limit(1) for only in (False, True)]
_IN_ORDER = [lateral_heads(_may_be_taken(_in_array, only=only)) for only in (False, True)]
_NEXT_FREE = [_of_who_is_free(order) for order in _IN_ORDER]
_NEXT_OF_ALL = [order.limit(1) for order in _IN_ORDER]
_TAKEN = one_moves(
    and_(Story.id == bindparam("story_id"), waiting(Story, MOMENT), free(Story, MOMENT)),
    {
        "state": State.TELLING,
        "lease_owner": bindparam("owner"),
        "lease_until": bindparam("until"),
        "attempts": Story.attempts + 1,
    },
)
