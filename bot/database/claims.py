"""Who tells a story: taken by one conditional UPDATE that also sets a lease, and given back."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, case, func, select, update

from bot.database.clock import now
from bot.database.places import MOMENT, free, heads, held, waiting
from bot.database.tables import State, Story
from bot.database.turns import moved, moving, one_moves, take_member_of, two_write
from bot.database.unbroken import unbroken
from bot.database.wishes import PLAIN, Wishes

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.config import Queue as QueueSettings
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
            given: dict[str, Any] = {
                "moment": now(),
                "most": self._settings.attempts,
                "resting": list(resting),
                "busy": list(busy),
            }
            if only is not None:
                given["only"] = list(only)
            async with self._sessions.begin() as session:
                story_id = await _first(session, given)
                if story_id is None:
                    return None
                moment = now()
                taken = {"moment": moment, "owner": owner, "until": moment + self._lease}
                # Asked once more of the row: another may have been quicker.
                story = await moved(session, _TAKEN, story_id, taken)
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


async def _first(session: AsyncSession, given: dict[str, Any]) -> int | None:
    """Find who is to be told next, and take their member: the story's id."""
    one_of, those = _FIRST["only" in given]
    if two_write(session):
        story_id: int | None = await session.scalar(those, given)
        if story_id is not None:
            return story_id
    story_id = await session.scalar(one_of, given)
    if story_id is not None:
        # Where several write: all are being moved now. Nothing is held while waiting for one.
        await take_member_of(session, story_id)
    return story_id


def _first_of(*, only: bool) -> tuple[Select[int, int], Select[int]]:
    """The next story to tell; and, where several write, the next of a member who is then taken."""

    def may_be_taken(chosen: type[Story]) -> list[ColumnElement[bool]]:
        some = [chosen.id.in_(bindparam("only", expanding=True))] if only else []
        return [
            waiting(chosen, MOMENT),
            free(chosen, MOMENT),
            chosen.attempts < bindparam("most"),
            chosen.model.not_in(bindparam("resting", expanding=True)),
            chosen.id.not_in(bindparam("busy", expanding=True)),
            *some,
        ]

    order = heads(may_be_taken)
    # The limit keeps PostgreSQL from taking members in another order.
    in_order = order.limit(MANY).subquery()
    taken = func.pg_try_advisory_xact_lock(in_order.c.member_id)
    members = select(in_order.c.id).where(taken).limit(1)
    return order.limit(1), members


MANY = 32
"""Of how many servers the first is looked at where several take stories at once."""
_FIRST = [_first_of(only=only) for only in (False, True)]
_TAKEN = one_moves(
    and_(Story.id == bindparam("story_id"), waiting(Story, MOMENT), free(Story, MOMENT)),
    {
        "state": State.TELLING,
        "lease_owner": bindparam("owner"),
        "lease_until": bindparam("until"),
        "attempts": Story.attempts + 1,
    },
)
