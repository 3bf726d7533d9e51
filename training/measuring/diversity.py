"""What stories are like as text: varied or alike, repetitive or not, copied or new.

Everything is counted in lower-cased words and punctuation marks, so that models with other tokens
compare.
"""

from __future__ import annotations

import math
import re
from collections import Counter
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


def distinct(stories: Sequence[Words], size: int) -> tuple[list[float], list[float]]:
    """Each story's part in the different n-grams of all, and its n-grams.

    The sum of the first over that of the second is distinct-n (Li et al. 2016, arXiv 1510.03055);
    an n-gram that stands k times counts a k-th where it stands.
    """
    found = [grams(words, size) for words in stories]
    counts = Counter(gram for story in found for gram in story)
    parts = [sum(1 / counts[gram] for gram in story) for story in found]
    return parts, [float(len(story)) for story in found]


def repeated(words: Words, size: int = 4) -> float:
    """Share of a story's n-grams that it had already used."""
    found = grams(words, size)
    return 1 - len(set(found)) / len(found) if found else 0.0


def self_bleu(stories: Sequence[Words]) -> list[float]:
    """BLEU-4 of each story against all others: high where they are alike.

    Zhu et al. 2018 (Texygen, arXiv 1802.01886) on BLEU of Papineni et al. 2002, with a precision
    of zero counted as half a match.
    """
    scores = [0.0] * len(stories)
    for size in range(1, 5):
        counts = [Counter(grams(words, size)) for words in stories]
        # The most that any other story has of an n-gram: the largest count, or for the story that
        # holds it alone the second largest.
        most: dict[Gram, tuple[int, int, int]] = {}
        for index, counter in enumerate(counts):
            for gram, count in counter.items():
                first, owner, second = most.get(gram, (0, -1, 0))
                if count > first:
                    most[gram] = count, index, first
                else:
                    most[gram] = first, owner, max(second, count)
        for index, counter in enumerate(counts):
            matched = 0
            for gram, count in counter.items():
                first, owner, second = most[gram]
                matched += min(count, second if owner == index else first)
            total = max(1, counter.total())
            scores[index] += math.log(max(matched, 0.5) / total) / 4
    return [
        math.exp(score + min(0.0, 1 - _closest(stories, index) / max(1, len(stories[index]))))
        for index, score in enumerate(scores)
    ]


def _closest(stories: Sequence[Words], index: int) -> int:
    """Length of the other story nearest in length, for BLEU's brevity penalty."""
    length = len(stories[index])
    others = (len(words) for other, words in enumerate(stories) if other != index)
    return min(others, key=lambda other: (abs(other - length), other), default=length)


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
