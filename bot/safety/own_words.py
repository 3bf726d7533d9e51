"""A server's own words: literal ones, and a `*` where a word may go on; nothing else is a pattern.

So none of them can be slow, and all of them together are one tree, grown once for each change.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from bot.safety.matcher import Tree
from bot.safety.patterns import Category, patterns_of, plain
from bot.safety.word_filter import WordFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_WORDS = 200
"""Words of a server; of more the first count."""
SHORTEST_WORD, LONGEST_WORD = 2, 32
"""Letters and digits of one, if they are Latin, and characters (code points) of one at most."""
COMPILED = 256
"""Servers whose words are kept ready: those that were asked for last."""


class WordRefusal(StrEnum):
    """Why something cannot be looked for."""

    LONG = "long"
    SHORT = "short"
    STAR = "star"
    """It has a `*` that is not at one of its ends."""


class WordRefusedError(Exception):
    """One of a server's own words cannot be looked for."""

    def __init__(self, refusal: WordRefusal, word: str) -> None:
        super().__init__(f"word refused: {refusal}")
        self.refusal = refusal
        self.word = word


def checked_word(given: str) -> str:
    """A word or phrase as it is kept: single spaces; a `*` at its ends only.

    Raises:
        WordRefusedError: It is too long, has a `*` within, or too few letters and digits.
    """
    word = " ".join(given.split())
    inside = word.removeprefix("*").removesuffix("*")
    if len(word) > LONGEST_WORD:
        raise WordRefusedError(WordRefusal.LONG, word)
    if "*" in inside:
        raise WordRefusedError(WordRefusal.STAR, word)
    if len(read := plain(inside)) < SHORTEST_WORD and (not read or read.isascii()):
        raise WordRefusedError(WordRefusal.SHORT, word)
    return word


def filter_of(words: Sequence[str]) -> WordFilter | None:
    """The filter for a server's words, each as `checked_word` gave it; None where there are none.

    What was saved when the rules were others is left out, not looked for in another sense.
    """
    return _grown(tuple(words[:MOST_WORDS])) if words else None


@lru_cache(maxsize=COMPILED)
def _grown(words: tuple[str, ...]) -> WordFilter:
    return WordFilter(
        Tree(
            pattern
            for word in words
            if _is_kept(word)
            for pattern in patterns_of(word, Category.OWN)
        )
    )


def _is_kept(word: str) -> bool:
    try:
        return checked_word(word) == word
    except WordRefusedError:
        return False
