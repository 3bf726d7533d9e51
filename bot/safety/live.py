"""A text that is shown while it grows: only as far as it is fit, whatever comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.safety.matcher import Hit
    from bot.safety.patterns import Category
    from bot.safety.word_filter import WordFilter


class UnfitError(Exception):
    """What is told is not fit to be shown."""

    def __init__(self, category: Category | None) -> None:
        """Say why; without a category the library's word on the whole is meant."""
        super().__init__(f"not fit to be shown: {category or 'second opinion'}")
        self.category = category


class Screen:
    """Lets through what is clean, and holds back the end that may become something unfit.

    So neither an unfit word is ever let through nor its beginning, be it spread over pieces as it
    may. What is held back is a few words at most (`bot.safety.matcher.LONGEST_HELD`).
    """

    def __init__(self, filters: Sequence[WordFilter], before: str = "") -> None:
        """Begin.

        Args:
            filters: What to look for.
            before: What stands in front of the text: half a word may end it. What is unfit within
                it is nobody's fault any more.
        """
        self._readers = [of.reader() for of in filters]
        for reader in self._readers:
            reader.feed(before)
        self._shared = self._passed = len(before)
        self._held = ""

    def feed(self, piece: str) -> str:
        """Take some more of the text; gives what may be shown now.

        Raises:
            UnfitError: It is not fit.
        """
        for reader in self._readers:
            reader.feed(piece)
            self._check(reader.hits)
        self._held += piece
        until = min(reader.held_from for reader in self._readers)
        return self._pass(max(0, until - self._passed))

    def end(self) -> str:
        """Give the rest: nothing follows.

        Raises:
            UnfitError: It is not fit.
        """
        for reader in self._readers:
            reader.end()
            self._check(reader.hits)
        return self._pass(len(self._held))

    def _check(self, hits: list[Hit]) -> None:
        for hit in hits:
            if hit.end > self._shared:
                raise UnfitError(hit.category)
        hits.clear()

    def _pass(self, size: int) -> str:
        clean, self._held = self._held[:size], self._held[size:]
        self._passed += size
        return clean
