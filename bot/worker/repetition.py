"""How much a part of a tale repeats what was told before it."""

from __future__ import annotations

import re

from bot.safety.words import WORD

WORDS_TOGETHER = 4
"""Words in a row that are looked at together: fewer repeat by themselves."""
ENOUGH = 12
"""So many of them are told before anything is judged."""
TOO_MUCH = 0.5
"""The share of them that may have been told before; of a tale that goes on it is a few in a
hundred, of one that goes round in circles nearly all."""
LOOKED_AT_EVERY = 60
"""Characters after which a growing part is looked at again."""


class Repetition:
    """Reads a part as it is told, and knows what came before it."""

    def __init__(self, earlier: str) -> None:
        """`earlier`: the tale so far."""
        self._known = set(_groups(earlier))
        self._text = ""
        self._looked_at = 0

    def feed(self, piece: str) -> bool:
        """Take some more of the part; gives whether it repeats too much of the tale, or itself."""
        self._text += piece
        if len(self._text) - self._looked_at < LOOKED_AT_EVERY:
            return False
        self._looked_at = len(self._text)
        return self.is_too_much

    @property
    def share(self) -> float:
        """The repeated among all groups of words so far, from 0 to 1."""
        groups = _groups(self._text)
        return self._repeated(groups) / len(groups) if groups else 0.0

    @property
    def is_too_much(self) -> bool:
        """It goes round in circles."""
        groups = _groups(self._text)
        return len(groups) >= ENOUGH and self._repeated(groups) > TOO_MUCH * len(groups)

    def _repeated(self, groups: list[tuple[str, ...]]) -> int:
        seen, repeated = set(self._known), 0
        for group in groups:
            repeated += group in seen
            seen.add(group)
        return repeated


def _groups(text: str) -> list[tuple[str, ...]]:
    words = [re.sub(r"\W+", "", word) for word in WORD.findall(text.casefold())]
    words = list(filter(None, words))
    return list(zip(*(words[n:] for n in range(WORDS_TOGETHER)), strict=False))
