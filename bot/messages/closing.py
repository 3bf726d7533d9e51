"""Closes duels whose time has come, and has their messages say so; the database knows when."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from bot.database.clock import now
from bot.database.errors import cause, passes

if TYPE_CHECKING:
    from bot.database.duels import Duels
    from bot.database.stories import Stories
    from bot.messages.presenter import StoryMessages

_log = logging.getLogger(__name__)

LOOKED_AT_EVERY = 15.0
"""Seconds after which it is looked again, at the latest: a duel may have been opened meanwhile."""


class Closing:
    """Works beside the dispatcher; what it misses while the bot is off it does at the start."""

    def __init__(self, duels: Duels, stories: Stories, messages: StoryMessages) -> None:
        self._duels = duels
        self._stories = stories
        self._messages = messages
        self._unshown: list[int] = []
        """Interactions whose duels are closed, and whose messages do not say so yet."""
        self._trouble = ""
        """What was wrong with the database."""

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self.close_due()
                following = await self._duels.next_close()
                self._trouble = ""
            except (SQLAlchemyError, OSError) as error:
                self._say(error)
                following = None
            rest = LOOKED_AT_EVERY
            if following is not None:
                rest = min(rest, max(0.0, (following - now()).total_seconds()))
            await asyncio.sleep(rest)

    def _say(self, error: Exception) -> None:
        """Tell the host what is wrong, once; with all of it where waiting will not help."""
        if self._trouble != (said := cause(error)):
            self._trouble = said
            whole = None if passes(error) else error
            _log.error("Duels are not closed now; trying again: %s", said, exc_info=whole)

    async def close_due(self) -> None:
        """Close what is due."""
        self._unshown += await self._duels.close_due()
        while self._unshown:
            for story in await self._stories.together(self._unshown[-1]):
                self._messages.redraw(story)
            self._unshown.pop()
