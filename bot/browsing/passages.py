"""Where in a story a word stands that was searched for, and what stands around it."""

from __future__ import annotations

import unicodedata
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

import regex

from bot.safety.escaping import cut, escaped, units
from bot.safety.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BEFORE = 40
"""Characters before the word at most."""
STEM = 3
"""Letters that two words have in common of which the databases may find one for the other."""

_WORD = regex.compile(r"[\p{L}\p{N}]+")


class Word(NamedTuple):
    """A word of a text."""

    bare: str
    """Without capitals and accents."""
    start: int
    end: int


def passage(
    text: str, words: Iterable[str], shown: Sequence[tuple[int, int]], room: int
) -> str | None:
    """The words around the first that was searched for and is not shown yet, that one in bold.

    The databases say which stories have the words, not where; they know *foxes* as *fox*, so it
    is the one most like it where the word itself stands nowhere.

    Args:
        text: The story.
        words: What was searched for, as `bot.database.word_index.terms` gives it.
        shown: From where to where of the text is shown anyway.
        room: UTF-16 units, before it is escaped.

    Returns:
        It, escaped; None: all that is found of the words is shown.
    """
    there = [Word(_bare(one[0]), *one.span()) for one in _WORD.finditer(text)]
    for wanted in words:
        place = _place(there, _bare(wanted), spaced=wanted.isascii())
        if place is None:
            continue
        start, end = place
        if not any(low <= start and end <= high for low, high in shown):
            return _around(text, start, end, room)
    return None


def _place(there: Sequence[Word], wanted: str, *, spaced: bool) -> tuple[int, int] | None:
    best: tuple[int, int] | None = None
    least = 0
    for bare, start, end in there:
        if bare == wanted:
            return start, end
        if not spaced:
            if bare.startswith(wanted):  # what is taken for one word is a whole phrase
                return start, min(start + len(wanted), end)
            continue
        if bare[:STEM] != wanted[:STEM]:
            continue
        pairs = zip(bare, wanted, strict=False)
        common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        unlike = len(bare) + len(wanted) - 2 * common
        if best is None or unlike < least:
            best, least = (start, end), unlike
    return best


def _around(text: str, start: int, end: int, room: int) -> str:
    before = text[max(0, start - BEFORE) : start]
    if start > BEFORE:  # it may begin within a word
        before = before[before.find(" ") + 1 :]
    word, before = cut(_line(text[start:end]), room), _line(before)
    after = _line(text[end : end + 2 * room])
    kept = cut(after, max(0, room - units(before) - units(word)))
    if kept != after or end + 2 * room < len(text):
        kept = f"{kept.rstrip()}…"
    return f"{escaped(before)}**{escaped(word)}**{escaped(kept)}"


def _line(text: str) -> str:
    """It on one line, with the spaces at its ends."""
    return regex.sub(r"\s+", " ", visible(text, lines=True))


def _bare(word: str) -> str:
    if word.isascii():
        return word.lower()
    apart = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))
