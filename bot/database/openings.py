"""Beginnings that members proposed for their server, and what moderators decided about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, true, update

from bot.database.clock import now
from bot.database.tables import Opening
from bot.database.trail import Act, entry
from bot.database.unbroken import unbroken
from bot.database.upsert import insert_or_update
from bot.database.wishes import PLAIN

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

MOST_PROPOSED = 5
"""Openings of a member that wait for a decision in a server."""
MOST_ACCEPTED = 200
"""Openings of a server: as many as are looked through for each letter that is typed."""


class AlreadyProposedError(Exception):
    """The server has this opening, or has refused it."""


class TooManyOpeningsError(Exception):
    """The member has proposed enough for now, or the server has enough."""

    def __init__(self, limit: int, *, server: bool) -> None:
        super().__init__(f"{limit} openings already (server: {server})")
        self.limit = limit
        self.server = server


@unbroken
class Openings:
    """Each decision and its audit row are one transaction."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def propose(self, guild_id: int, member_id: int, text: str) -> int:
        """Keep a proposal until a moderator decides; gives its id.

        Raises:
            AlreadyProposedError: There is the same already, whatever was decided about it.
            TooManyOpeningsError: The member's others wait still, or the server has enough.
        """
        here = Opening.guild_id == guild_id
        async with self._sessions.begin() as session:
            new = await session.scalar(
                insert_or_update(session, Opening)
                .values(guild_id=guild_id, member_id=member_id, text=text, proposed_at=now())
                .on_conflict_do_nothing(index_elements=[Opening.guild_id, Opening.text])
                .returning(Opening.id)
            )
            if new is None:
                raise AlreadyProposedError
            counts = select(
                func.count().filter(Opening.member_id == member_id, Opening.accepted.is_(None)),
                func.count().filter(Opening.accepted.is_(True)),
            ).where(here)
            own, accepted = (await session.execute(counts)).one()
            if own > MOST_PROPOSED:
                raise TooManyOpeningsError(MOST_PROPOSED, server=False)
            if accepted >= MOST_ACCEPTED:
                raise TooManyOpeningsError(MOST_ACCEPTED, server=True)
            return int(new)

    async def accepted(self, guild_id: int | None) -> list[str]:
        """Give a server's own openings, oldest first; none outside of every server."""
        if guild_id is None:
            return []
        query = (
            select(Opening.text)
            .where(Opening.guild_id == guild_id, Opening.accepted.is_(True))
            .order_by(Opening.id)
            .limit(MOST_ACCEPTED)
        )
        async with self._sessions() as session:
            return list(await session.scalars(query))

    async def waiting(self, guild_id: int) -> tuple[Opening | None, int]:
        """Give the proposal that has waited longest, and how many wait."""
        undecided = (Opening.guild_id == guild_id, Opening.accepted.is_(None))
        async with self._sessions() as session:
            first = await session.scalar(
                select(Opening).where(*undecided).order_by(Opening.id).limit(1)
            )
            count = await session.scalar(select(func.count()).where(*undecided))
            return first, count or 0

    async def get(self, opening_id: int, guild_id: int | None) -> Opening | None:
        """Give one accepted opening of a server; None: there is none (any more)."""
        query = select(Opening).where(
            Opening.id == opening_id, Opening.guild_id == guild_id, Opening.accepted.is_(True)
        )
        async with self._sessions() as session:
            return await session.scalar(query)

    async def find(self, guild_id: int, text: str) -> Opening | None:
        """Give a server's opening by its words."""
        query = select(Opening).where(Opening.guild_id == guild_id, Opening.text == text)
        async with self._sessions() as session:
            return await session.scalar(query)

    async def decide(
        self,
        opening_id: int,
        guild_id: int,
        moderator_id: int,
        *,
        accepted: bool,
        waits: bool = False,
    ) -> bool:
        """Accept or refuse an opening of a server; gives whether that changed anything.

        `waits`: only if nobody has decided yet.
        """
        statement = (
            update(Opening)
            .where(
                Opening.id == opening_id,
                Opening.guild_id == guild_id,
                Opening.accepted.is_distinct_from(accepted),
                Opening.accepted.is_(None) if waits else true(),
            )
            .values(accepted=accepted, moderator_id=moderator_id)
            .returning(Opening.member_id)
        )
        async with self._sessions.begin() as session:
            row = (await session.execute(statement, execution_options=PLAIN)).one_or_none()
            if row is None:
                return False
            session.add(
                entry(
                    guild_id,
                    moderator_id,
                    Act.ACCEPT if accepted else Act.REFUSE,
                    # Not its words: they are its member's, who may want them to go.
                    f"opening {opening_id}",
                    member_id=row.member_id or None,
                )
            )
            return True
