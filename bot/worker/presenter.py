"""What shows stories, as the dispatcher needs it: it says what happened, and nobody guesses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.database.tables import Story


class MessageGoneError(Exception):
    """The story's message or its channel was deleted: nobody will read on."""


class OutOfReachError(Exception):
    """The message cannot be written now (Discord fails, a permission is missing); later it may."""


class Presenter(Protocol):
    """Shows each story in its message: `waiting → telling → ended`."""

    def waiting(self, places: Mapping[int, int]) -> None:
        """Say where those who wait stand: story id → place, 1 being the next."""

    def began(self, story: Story) -> None:
        """The story is being told, for the first time or again."""

    def words(self, story: Story, piece: str) -> None:
        """Take some more of its text; nothing waits here.

        Raises:
            MessageGoneError: Nobody will read on.
        """

    def broke_off(self, story: Story, *, keep: bool = True) -> str:
        """The story is told no further for now; gives the words that are shown, which stay.

        `keep`: False where they must not stay, since they may be unfit; none are shown then.
        """

    def lost(self, story_id: int) -> None:
        """The story was ended, or another bot has it: no more of its words are written here."""

    def sure(self, at: float | None) -> None:
        """At that moment, by the loop's time, nobody else told what is told here; None: nobody can.

        Where this is not said again for a while, nothing is written.
        """

    async def ended(self, story: Story) -> None:
        """Show how the story ended, and return when its last word stands in the channel.

        Raises:
            MessageGoneError: There is nowhere left to show it.
            OutOfReachError: It cannot be shown now; later it may.
        """
