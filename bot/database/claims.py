"""Who tells a story: taken by one conditional UPDATE that also sets a lease, and given back."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from sqlalchemy import and_, case, func, select, update
from sqlalchemy.orm import aliased

from bot.database.clock import now
from bot.database.places import free, heads, held, waiting
from bot.database.tables import State, Story
from bot.database.turns import moving, put_right, take_members, two_write
from bot.database.unbroken import unbroken
from bot.database.wishes import PLAIN, Wishes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from bot.config import Queue as QueueSettings

    Asked = Callable[[type[Story]], list[ColumnElement[bool]]]


@unbroken
class Claims(Wishes):
    """The leases of those who tell stories; each method is one short transaction."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], settings: QueueSettings) -> None:
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

        def may_be_taken(chosen: type[Story]) -> list[ColumnElement[bool]]:
            moment = now()
            return [
                waiting(chosen, moment),
                free(chosen, moment),
                chosen.attempts < self._settings.attempts,
                chosen.model.not_in(resting),
                chosen.id.not_in(busy),
                *([] if only is None else [chosen.id.in_(only)]),
            ]

        while True:
            async with self._sessions.begin() as session:
                found = await _first(session, may_be_taken)
                if found is None:
                    return None
                story_id, member_id = found
                # Asked once more of the row: another may have been quicker.
                story: Story | None = await session.scalar(
                    update(Story)
                    .where(Story.id == story_id, *may_be_taken(Story))
                    .values(
                        state=State.TELLING,
                        lease_owner=owner,
                        lease_until=now() + self._lease,
                        attempts=Story.attempts + 1,
                    )
                    .returning(Story),
                    execution_options=PLAIN,
                )
                if story is not None:
                    await put_right(session, [story_id], {member_id})
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
        """End every lease at once. Only for who knows that all their owners are dead."""
        leased = and_(Story.shown_at.is_(None), Story.lease_until.is_not(None))
        await self._touch(leased, {"lease_owner": None, "lease_until": None})


async def _first(session: AsyncSession, may_be_taken: Asked) -> tuple[int, int] | None:
    """Find who is to be told next, and take their member: (story id, member id)."""
    chosen = aliased(Story)
    order = heads(may_be_taken(chosen), chosen)
    if not two_write(session):
        row = (await session.execute(order.limit(1))).one_or_none()
        return row and (row[0], row[1])
    # Those whose members are being moved now are left to who does it. The inner query's limit
    # keeps PostgreSQL from taking members in another order.
    in_order = order.limit(MANY).subquery()
    taken = func.pg_try_advisory_xact_lock(in_order.c.member_id)
    row = (
        await session.execute(select(in_order.c.id, in_order.c.member_id).where(taken).limit(1))
    ).one_or_none()
    if row is None and (row := (await session.execute(order.limit(1))).one_or_none()) is not None:
        # All are: so wait for the first. Nothing is held meanwhile.
        await take_members(session, Story.id == row[0])
    return row and (row[0], row[1])


MANY = 32
"""Of how many servers the first is looked at where several bots take stories at once."""
