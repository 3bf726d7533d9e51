"""What a server's moderators chose, and the trail of who did."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bot.database.clock import now
from bot.database.tables import Audit, Guild
from bot.database.unbroken import unbroken
from bot.database.upsert import insert_or_update

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker


@unbroken
class Guilds:
    """Servers' choices; each change and its audit row are one transaction."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def model(self, guild_id: int) -> str | None:
        """Give the model that tells in a server; None when nobody chose one."""
        async with self._sessions() as session:
            guild = await session.get(Guild, guild_id)
            return guild.model if guild else None

    async def filter_words(self, guild_id: int | None) -> tuple[str, ...]:
        """Give the words that neither a beginning nor a story may have in a server."""
        if guild_id is None:
            return ()
        async with self._sessions() as session:
            guild = await session.get(Guild, guild_id)
        words = json.loads(guild.settings).get("filter_words", ()) if guild else ()
        return tuple(words)

    async def use_model(self, guild_id: int, model: str | None, moderator_id: int) -> None:
        """Let a model tell in a server from now on; None: the host's default again."""
        async with self._sessions.begin() as session:
            await session.execute(
                insert_or_update(session, Guild)
                .values(guild_id=guild_id, model=model)
                .on_conflict_do_update(index_elements=[Guild.guild_id], set_={"model": model})
            )
            session.add(
                Audit(
                    guild_id=guild_id,
                    moderator_id=moderator_id,
                    act="model use",
                    detail=model or "default",
                    at=now(),
                )
            )
