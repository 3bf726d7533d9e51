"""Whether a text repeats what others say: runs of words that stand in both.

Words are lower-cased, and marks count as words, so that models with other tokens compare.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Words = list[str]
Gram = tuple[str, ...]


def words_of(text: str) -> Words:
    """Lower-cased words, and marks by themselves."""
    return re.findall(r"\w+(?:['’]\w+)*|[^\w\s]", text.lower())  # noqa: RUF001  # an apostrophe


def grams(words: Sequence[str], size: int) -> list[Gram]:
    """Every run of `size` words, in order."""
    return [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]


class Copies:
    """Which runs of words a model could have copied from its training texts."""

    def __init__(self, training: Iterable[str], size: int = 8) -> None:
        self._size = size
        self._texts = [words_of(text) for text in training]
        self._places: dict[Gram, list[tuple[int, int]]] = {}
        for index, words in enumerate(self._texts):
            for start, gram in enumerate(grams(words, size)):
                self._places.setdefault(gram, []).append((index, start))

    def share(self, words: Words) -> float:
        """Of a story's n-grams, how many stand in a training text."""
        found = grams(words, self._size)
        return sum(gram in self._places for gram in found) / len(found) if found else 0.0

    def share_elsewhere(self, index: int, works: Sequence[int]) -> float:
        """Of a training text's own n-grams, how many stand in one of another work.

        Args:
            index: of the text.
            works: to which each training text belongs.
        """
        found = grams(self._texts[index], self._size)
        elsewhere = [
            any(works[other] != works[index] for other, _ in self._places[gram]) for gram in found
        ]
        return sum(elsewhere) / len(found) if found else 0.0

    def longest(self, words: Words) -> int:
        """Words in the longest run that stands in a training text; 0 if shorter than `size`."""
        longest = 0
        for start, gram in enumerate(grams(words, self._size)):
            for index, place in self._places.get(gram, ()):
                text, length = self._texts[index], self._size
                while (
                    start + length < len(words)
                    and place + length < len(text)
                    and words[start + length] == text[place + length]
                ):
                    length += 1
                longest = max(longest, length)
        return longest
