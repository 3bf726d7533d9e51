"""What `/stats` says of each server, counted at most once an hour."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

    from bot.database.figures import Figures, Month


class Months:
    """Those of the present hour; who asks meanwhile gets the same."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._counting = asyncio.Lock()
        self._hour: dt.datetime | None = None
        self._months: dict[int, Month] = {}

    async def get(self, guild_id: int, hour: dt.datetime) -> Month:
        """Give a server's month as it was when somebody first asked in this hour."""
        async with self._counting:
            if hour != self._hour:
                self._hour, self._months = hour, {}
            if guild_id not in self._months:
                self._months[guild_id] = await self._figures.month(guild_id)
            return self._months[guild_id]
