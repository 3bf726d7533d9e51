"""What a reader calls a word, in scripts with and without spaces."""

from __future__ import annotations

import regex

from bot.safety.classes import IGNORED, OPENING, UNSPACED
from bot.safety.graphemes import GRAPHEME

_SPACE = r"\s\u2800"
WORD = regex.compile(
    rf"""
    (?![{_SPACE}{IGNORED}])
    (?:
        {OPENING}{{0,8}}+(?={UNSPACED})\X
            (?:(?![{_SPACE}\p{{L}}\p{{N}}{OPENING}]){GRAPHEME.pattern}){{0,100}}+
        | (?:(?![{_SPACE}{UNSPACED}])(?!{OPENING}{{1,8}}{UNSPACED}){GRAPHEME.pattern}){{1,100}}+
    )
    """,
    regex.VERBOSE | regex.V1,
)
"""One word and the punctuation that belongs to it, made of whole graphemes.

Words stand between spaces, and what goes on for more than a hundred graphemes is several. Han,
kana, Thai and others are written without spaces, so each grapheme of theirs is a word. Opening
brackets belong to what follows, all else to what precedes.
"""


class Words:
    """The words of a text that grows: each piece costs no more than itself and the last word."""

    def __init__(self, text: str = "") -> None:
        self._ends: list[int] = []
        """Where each word ends that nothing can continue any more."""
        self._rest = ""
        """What follows them: the last word, which the next piece may continue."""
        self._rest_at = 0
        self._last: int | None = None
        self.feed(text)

    @property
    def length(self) -> int:
        """Characters (code points) of the text so far."""
        return self._rest_at + len(self._rest)

    @property
    def count(self) -> int:
        """Words so far, the last counted though it may go on; never becomes less."""
        return len(self._ends) + (self._last is not None)

    def feed(self, piece: str) -> None:
        """Go on reading."""
        rest = self._rest + piece
        ends = [word.end() for word in WORD.finditer(rest)]
        if not ends or ends[-1] < len(rest):
            # Something stands behind the last word that is of none, so nothing continues it. It is
            # not read again: of nothing but spaces the next piece would be the whole text.
            self._ends += [self._rest_at + end for end in ends]
            self._rest_at += len(rest)
            self._rest, self._last = "", None
            return
        *settled, last = ends
        self._ends += [self._rest_at + end for end in settled]
        read = settled[-1] if settled else 0
        self._rest = rest[read:]
        self._rest_at += read
        self._last = self._rest_at + last - read

    def end_of(self, words: int) -> int:
        """The offset behind so many words; the text's length if it has no more than these.

        Up to there it never changes, but for the last word, which may grow.
        """
        if words >= self.count:
            return self.length
        return self._ends[words - 1] if words > 0 else 0
