"""What a server tells, on its way to the message: as far as it is fit to be shown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.safety.live import Screen, UnfitError
from bot.safety.own_words import filter_of
from bot.safety.second_opinion import objects_to
from bot.safety.word_filter import house_filter
from bot.worker.completions import Piece

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from bot.database.guilds import Guilds
    from bot.database.tables import Story

CONTEXT = 200
"""Characters of what the model read that are looked at together with what it tells."""


class Screening:
    """Every story's way past the house's lists, its server's words and the second opinion."""

    def __init__(self, guilds: Guilds) -> None:
        """Take the servers' choices; grows the house's tree of words, before anybody waits."""
        self._guilds = guilds
        self._house = house_filter()

    async def screened(
        self, story: Story, prompt: str, pieces: AsyncIterator[Piece]
    ) -> AsyncGenerator[Piece]:
        """Let pieces through as far as they are clean; some may be empty, the last has the rest.

        Args:
            story: Whose they are.
            prompt: What the model read.
            pieces: What it tells.

        Raises:
            UnfitError: It is not fit, and was not let through; without a category, what was let
                through may be part of it.
        """
        own = filter_of(await self._guilds.filter_words(story.guild_id))
        screen = Screen([self._house, own] if own else [self._house], prompt[-CONTEXT:])
        whole, last = "", Piece("", 0)
        async for piece in pieces:
            whole += piece.text
            last = piece
            yield replace(piece, text=screen.feed(piece.text))
        rest = screen.end()
        if await objects_to(whole):
            raise UnfitError(None)
        yield replace(last, text=rest)
