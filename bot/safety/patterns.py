"""Words and phrases to look for, spelled as texts are read."""

from __future__ import annotations

import itertools
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from bot.safety.folding import MASK, folded, kind

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORTEST_MASKED = 4
"""Letters of a word that is still known when some of them are hidden."""
MOST_READ_APART = 4
SPACE = " "
_BRACES = re.compile(r"\{([^{}]*)\}")


class Category(StrEnum):
    """Why something is not fit."""

    VULGAR = "vulgar"
    SLURS = "slurs"
    SEXUAL = "sexual"
    MINORS = "minors"
    """Children in a sexual light."""
    GRAPHIC = "graphic"
    SELF_HARM = "self_harm"
    """Somebody speaks of their own death; asked of beginnings, not of what is told."""
    OWN = "own"
    """A server's own words."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One spelling: its characters, each run of the same one once, and how long the runs are."""

    symbols: tuple[str, ...]
    runs: tuple[int, ...]
    category: Category
    open_right: bool
    """The word may go on."""
    leet: bool
    """It counts only where a digit or a sign stands for a letter."""


def expanded(entry: str) -> Iterator[str]:
    """Every spelling of an entry such as `wank{,s,ing}`."""
    parts = _BRACES.split(entry)
    choices = [part.split(",") if number % 2 else [part] for number, part in enumerate(parts)]
    return map("".join, itertools.product(*choices))


def patterns_of(entry: str, category: Category) -> Iterator[Pattern]:
    """The patterns for one word or phrase; a `*` at an end lets the word go on there.

    A word of Latin letters is also found with a vowel, or all between its ends, masked.
    """
    open_left, open_right = entry.startswith("*"), entry.endswith("*")
    text = plain(entry.strip(MASK))
    spellings = {text, unicodedata.normalize("NFD", text)}
    if text.isascii() and text.isalpha() and len(text) >= SHORTEST_MASKED:
        inside = range(1, len(text) - 1)
        spellings.add(text[0] + MASK * len(inside) + text[-1])
        spellings |= {text[:at] + MASK + text[at + 1 :] for at in inside if text[at] in "aeiou"}
    leet = set(_read_as_i(text)) - {text} if text.isalpha() else set()
    for spelling in sorted(spellings | leet):
        symbols = "".join(separated(spelling))
        if symbols and open_left:
            symbols = symbols.lstrip(SPACE)
        runs = [(symbol, len(list(run))) for symbol, run in itertools.groupby(symbols)]
        yield Pattern(
            symbols=tuple(symbol for symbol, _ in runs),
            runs=tuple(length for _, length in runs),
            category=category,
            open_right=open_right,
            leet=spelling in leet,
        )


def _read_as_i(text: str) -> Iterator[str]:
    """The ways to read a word whose l may be a 1: of four and more, all are or none is."""
    parts = text.split("l")
    if len(parts) > MOST_READ_APART:
        yield "i".join(parts)
        return
    for letters in itertools.product("li", repeat=len(parts) - 1):
        yield "".join(map("".join, itertools.zip_longest(parts, letters, fillvalue="")))


def plain(text: str) -> str:
    """A text as its letters are read, with one space wherever there are none."""
    chars = "".join(map(folded, text))
    read = (char if kind(char) or char.isalpha() else SPACE for char in chars)
    return SPACE.join("".join(read).split())


def separated(text: str) -> Iterator[str]:
    """The characters of a plain text, with a space before each word of a script with spaces."""
    before = ""
    for char in text:
        if parted(before, char):
            yield SPACE
        yield char
        before = char


@lru_cache(maxsize=1 << 14)
def parted(before: str, char: str) -> bool:
    """A word begins with the second of two characters; `before` may be nothing."""
    of = kind(char)
    return before != SPACE and of in {"letter", "digit"} and kind(before or SPACE) != of
