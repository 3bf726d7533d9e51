"""Words, as a reader counts them."""

from __future__ import annotations

import re

_WORD = re.compile(r"\s*\S+")


class Words:
    """The words of a text that comes in pieces."""

    def __init__(self) -> None:
        self._text = ""
        self._ends: list[int] = []

    def feed(self, piece: str) -> None:
        """Take some more of the text."""
        self._text += piece
        self._ends = [found.end() for found in _WORD.finditer(self._text)]

    @property
    def count(self) -> int:
        """Words so far."""
        return len(self._ends)

    def end_of(self, number: int) -> int:
        """Where the word ends in the text; 1 is the first."""
        return self._ends[number - 1] if number else 0
