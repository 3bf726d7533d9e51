"""Where stories are shown: what the dispatcher needs of the Discord side, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.database.tables import Story


class StageGoneError(Exception):
    """The channel or message was deleted, or the bot may no longer write there."""


class StageClosedError(Exception):
    """Nothing is taken there for now: Discord fails, or the thread is archived."""


class Telling(Protocol):
    """One message while its story is told."""

    def show(self, text: str) -> None:
        """Take the text so far; the newest wins, edits are paced, and nothing waits here."""

    async def finish(self, story: Story) -> None:
        """Show the story as it ended (told, failed, expired or cancelled) with its buttons.

        Raises:
            StageGoneError: There is nowhere left to show it.
            StageClosedError: It cannot be shown now; later it may.
        """


class Stage(Protocol):
    """Discord, as the dispatcher sees it."""

    def telling(self, story: Story) -> Telling:
        """Open the story's message for writing; a message is posted when it has none yet."""

    def waiting(self, positions: Mapping[int, int]) -> None:
        """Tell those who wait where they stand: story id → position, 1 being the next."""
