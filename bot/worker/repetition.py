"""How much a part of a tale repeats what was told before it."""

from __future__ import annotations

import re
from collections import deque

from bot.safety.words import WORD

WORDS_TOGETHER = 4
"""Words in a row that are looked at together: fewer repeat by themselves."""
ENOUGH = 12
"""So many of them are told before anything is judged."""
TOO_MUCH = 0.1
"""The share of a whole part's that may have been told before; of a tale that goes on it is a few
in a thousand."""
FAR_TOO_MUCH = 0.5
"""The same of a part that is still told, and of one that goes round in circles nearly all: it may
begin as what came before ended, and go on."""
LOOKED_AT_EVERY = 60
"""Characters after which a growing part is judged again."""


class Repetition:
    """Reads a part as it is told, and knows what came before it.

    A piece costs no more than itself and the last word, however long the part becomes.
    """

    def __init__(self, earlier: str) -> None:
        """`earlier`: the tale so far."""
        self._seen: set[tuple[str, ...]] = set()
        self._begin()
        self.feed(earlier)
        self.end()
        self._begin()

    def _begin(self) -> None:
        self._last: deque[str] = deque(maxlen=WORDS_TOGETHER)
        self._rest = ""
        """The last word, which the next piece may continue."""
        self._groups = self._repeated = 0
        self._unjudged = 0

    def feed(self, piece: str) -> bool:
        """Take some more of the part; gives whether it repeats too much of the tale, or itself."""
        self._rest += piece.casefold()
        words = list(WORD.finditer(self._rest))
        # What stands behind the last word parts it from the next.
        goes_on = bool(words) and words[-1].end() == len(self._rest)
        for word in words[:-1] if goes_on else words:
            self._take(word.group())
        self._rest = words[-1].group() if goes_on else ""
        self._unjudged += len(piece)
        if self._unjudged < LOOKED_AT_EVERY:
            return False
        self._unjudged = 0
        return self._is_above(FAR_TOO_MUCH)

    def end(self) -> bool:
        """Take the last word as it is, since nothing follows; gives the same of the whole part."""
        self._take(self._rest)
        self._rest = ""
        return self._is_above(TOO_MUCH)

    def _is_above(self, share: float) -> bool:
        return self._groups >= ENOUGH and self._repeated > share * self._groups

    def _take(self, word: str) -> None:
        if not (plain := re.sub(r"\W+", "", word)):
            return
        self._last.append(plain)
        if len(self._last) == WORDS_TOGETHER:
            group = tuple(self._last)
            self._groups += 1
            self._repeated += group in self._seen
            self._seen.add(group)
