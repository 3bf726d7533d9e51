"""What a word model pays for a word that it does not know: spelling it, letter by letter."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ORDER = 4
"""Letters of a word looked back on."""
_END = "\0"


class Spelling:
    """A character n-gram model with Witten-Bell smoothing (Witten and Bell 1991).

    Each order's estimate is mixed with the next shorter one's, as much as new letters came after
    its context in training; the shortest is mixed with every byte being as likely.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._after: dict[bytes, Counter[int]] = defaultdict(Counter)
        for word in words:
            letters = _letters(word)
            for end in range(_ORDER, len(letters)):
                for start in range(end - _ORDER, end + 1):
                    self._after[letters[start:end]][letters[end]] += 1

    def nats(self, word: str) -> float:
        """The cost of a word and of its end, never infinite."""
        letters = _letters(word)
        return -sum(
            math.log(self._probability(letters[end - _ORDER : end], letters[end]))
            for end in range(_ORDER, len(letters))
        )

    def _probability(self, context: bytes, letter: int) -> float:
        probability = 1 / 256
        for start in range(_ORDER, -1, -1):
            counts = self._after.get(context[start:])
            if counts is not None:
                total, kinds = counts.total(), len(counts)
                probability = (counts[letter] + kinds * probability) / (total + kinds)
        return probability


def _letters(word: str) -> bytes:
    """Its bytes between marks of its beginning and end."""
    return (_END * _ORDER + word + _END).encode()
