"""Members whom the bot does not serve in a server for a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete

from bot.database.clock import now
from bot.database.tables import Mute
from bot.database.trail import Act, entry
from bot.database.unbroken import unbroken
from bot.database.upsert import insert_or_update

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker


class MutedError(Exception):
    """The member is muted in this server."""

    def __init__(self, until: dt.datetime) -> None:
        super().__init__(f"muted until {until}")
        self.until = until


@unbroken
class Mutes:
    """One a member and server; each change and its line of the trail are one transaction."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def until(self, guild_id: int, member_id: int) -> dt.datetime | None:
        """Give when a member's mute ends; None: the member is not muted (any more)."""
        async with self._sessions() as session:
            mute = await session.get(Mute, (guild_id, member_id))
            return mute.until if mute is not None and mute.until > now() else None

    async def mute(
        self, guild_id: int, member_id: int, time: dt.timedelta, moderator_id: int, reason: str
    ) -> dt.datetime:
        """Mute a member from now on, in place of a mute that there is; gives when it ends."""
        until = now() + time
        values = {"until": until, "reason": reason, "moderator_id": moderator_id}
        async with self._sessions.begin() as session:
            await session.execute(
                insert_or_update(session, Mute)
                .values(guild_id=guild_id, member_id=member_id, **values)
                .on_conflict_do_update(index_elements=[Mute.guild_id, Mute.member_id], set_=values)
            )
            detail = f"until {until:%Y-%m-%d %H:%M} UTC"
            session.add(
                entry(guild_id, moderator_id, Act.MUTE, detail, reason=reason, member_id=member_id)
            )
        return until

    async def unmute(self, guild_id: int, member_id: int, moderator_id: int) -> bool:
        """End a member's mute; gives whether there was one."""
        async with self._sessions.begin() as session:
            ended = await session.execute(
                delete(Mute)
                .where(Mute.guild_id == guild_id, Mute.member_id == member_id)
                .returning(Mute.until)
            )
            until = ended.scalar_one_or_none()
            if until is None or until <= now():
                return False
            session.add(entry(guild_id, moderator_id, Act.UNMUTE, "", member_id=member_id))
            return True

    async def tidy(self) -> None:
        """Forget the mutes that have ended."""
        async with self._sessions.begin() as session:
            await session.execute(delete(Mute).where(Mute.until <= now()))
