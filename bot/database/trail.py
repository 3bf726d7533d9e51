"""The trail of what moderators did: written beside each change, read page by page."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import select

from bot.database.clock import now
from bot.database.tables import Audit
from bot.database.unbroken import unbroken

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker


class Act(StrEnum):
    """What a moderator can do."""

    MODEL = "model use"
    SETTINGS = "settings"
    CALL_OFF = "call off"
    REMOVE = "remove"
    KEEP = "keep"
    MUTE = "mute"
    UNMUTE = "unmute"
    ACCEPT = "opening accept"
    REFUSE = "opening refuse"


def entry(
    guild_id: int,
    moderator_id: int,
    act: Act,
    detail: str,
    *,
    reason: str = "",
    channel_id: int | None = None,
    member_id: int | None = None,
) -> Audit:
    """A line of the trail, to be added to the transaction of the change that it is about.

    Args:
        guild_id: The server.
        moderator_id: Who did it.
        act: What was done.
        detail: What with, in few words that hold nothing a member wrote.
        reason: Why, in the moderator's words.
        channel_id: The channel or thread that it is about, if one.
        member_id: The member whom it is about, if one.
    """
    return Audit(
        guild_id=guild_id,
        moderator_id=moderator_id,
        act=act,
        detail=detail,
        reason=reason,
        channel_id=channel_id,
        member_id=member_id,
        at=now(),
    )


@unbroken
class Trail:
    """Reading it: a server's own lines, and no other's."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def page(
        self,
        guild_id: int,
        limit: int,
        *,
        before: int | None = None,
        act: Act | None = None,
        moderator_id: int | None = None,
    ) -> list[Audit]:
        """Give a page of lines, the newest first.

        Args:
            guild_id: The server.
            limit: How many at most.
            before: Only lines older than the one of this id.
            act: Only what was done so.
            moderator_id: Only what this member did.
        """
        query = select(Audit).where(Audit.guild_id == guild_id)
        if before is not None:
            query = query.where(Audit.id < before)
        if act is not None:
            query = query.where(Audit.act == act)
        if moderator_id is not None:
            query = query.where(Audit.moderator_id == moderator_id)
        async with self._sessions() as session:
            return list(await session.scalars(query.order_by(Audit.id.desc()).limit(limit)))
