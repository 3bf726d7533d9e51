"""What stories are like as text: varied or alike, repetitive or not, copied or new.

Everything is counted in lower-cased words and punctuation marks, so that models with other tokens
compare.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from training.corpus.copies import grams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.corpus.copies import Gram, Words


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
