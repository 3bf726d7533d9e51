"""What `/stats` says of each server, counted at most once an hour."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.database.clock import now

if TYPE_CHECKING:
    import datetime as dt

    from bot.database.figures import Figures, Month


@dataclass(frozen=True, slots=True)
class Counted:
    """A server's month, and when it was counted."""

    month: Month
    at: dt.datetime


class Months:
    """Those of the present hour; who asks meanwhile gets the same."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._counting = asyncio.Lock()
        self._hour: dt.datetime | None = None
        self._months: dict[int, Counted] = {}

    async def get(self, guild_id: int) -> Counted:
        """Give a server's month as it was when somebody first asked in this hour.

        One without a story is counted anew: whoever asks after the first would not believe it.
        """
        at = now()
        hour = at.replace(minute=0, second=0, microsecond=0)
        async with self._counting:
            if hour != self._hour:
                self._hour, self._months = hour, {}
            if (kept := self._months.get(guild_id)) is not None and kept.month.stories:
                return kept
            counted = Counted(await self._figures.month(guild_id), at)
            self._months[guild_id] = counted
            return counted
