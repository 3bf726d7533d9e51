"""The characters of a text that a reader sees.

Which characters there are, and of what kind, is asked of `regex`, which brings its own tables:
those of Python's `unicodedata` are as old as the Python, and a story must not depend on it.
A character too new for both is kept, since most are letters and emoji.
"""

from __future__ import annotations

import unicodedata

import regex

from bot.safety.classes import IGNORED, JOINED, LETTER_OF_MONGOLIAN, PICTURE, STACKED

_SPACE = regex.compile(r"[\p{Cc}\p{Z}\u2800]", regex.V1)
_SPACE_BUT_NO_LINE = regex.compile(r"[\p{Cc}\p{Z}\u2800--\n]", regex.V1)
_HIDING = regex.compile(rf"[{IGNORED}\u2800]", regex.V1)

_UNSEEN = regex.compile(
    rf"""
    (?=[{IGNORED}])(?:(?P<spelled>
        # The flags of England, Scotland, Wales: a black flag, tag letters and digits, an end.
        (?<=\U0001f3f4)[\U000e0030-\U000e0039\U000e0061-\U000e007a]{{3,6}}\U000e007f
        # A family, a profession, the flag of pirates: pictures joined.
        | (?<={PICTURE})\u200d(?=\p{{Extended_Pictographic}})
        # Keycaps; a heart as a picture, a heart as a letter.
        | (?<=[0-9\#*])\ufe0f(?=\u20e3)
        | (?<=[\p{{Emoji}}--[0-9\#*]])[\ufe0e\ufe0f]
        # The variants of one character that standards name.
        | (?<=\p{{Han}})[\ufe00-\ufe02\U000e0100-\U000e01ef]
        | (?<=[\p{{Sm}}\p{{Myanmar}}\p{{Phags_Pa}}])\ufe00
        | (?<={LETTER_OF_MONGOLIAN})[\u180b-\u180d\u180f]
        | (?<={LETTER_OF_MONGOLIAN}[\u180b-\u180d\u180f]?)\u180e(?={LETTER_OF_MONGOLIAN})
        # Persian, Hindi, Sinhala …: joiners choose between the forms of neighbours.
        | (?<=[{JOINED}]\p{{M}}{{0,8}})[\u200c\u200d](?=[{JOINED}])
        | (?<=[\p{{InSC=Virama}}\p{{InSC=Pure_Killer}}])\u200d
    )|.)
    """,
    regex.VERBOSE | regex.V1,
)
"""What is not seen, be it that a script or an emoji is spelled with it."""

_TOO_MANY = regex.compile(
    rf"""
    (?P<few>[{STACKED}]{{4}})[{STACKED}]+
    | (?P<few>\p{{M}}(?:[\u200c\u200d]?\p{{M}}){{7}})(?:[\u200c\u200d]?\p{{M}})+[\u200c\u200d]?
    | (?P<few>(?:{PICTURE}\u200d){{4}}{PICTURE})\u200d
    """,
    regex.VERBOSE | regex.V1,
)
"""More marks on a letter, more pictures in one than any script or emoji is spelled with."""


def visible(text: str, *, lines: bool = False) -> str:
    """NFC text without what nobody sees; spaces and control characters of any kind are spaces.

    Joiners, variation selectors and tags stay where a script or an emoji is spelled with them.
    Of the marks on one letter the first eight stay, the first four of those that pile up.

    Args:
        text: Of a member or a model; may hold halves of surrogate pairs.
        lines: Line feeds stay.
    """
    text = (_SPACE_BUT_NO_LINE if lines else _SPACE).sub(" ", text)
    if text.isascii():
        return text
    # Again, since what was parted by something invisible may compose or be too many marks now.
    while (seen := _few(_normal(_UNSEEN.sub(r"\g<spelled>", _normal(text))))) != text:
        text = seen
    return text


def bare(text: str) -> str:
    """The text that a filter looks at: NFKC, and nothing in it that could hide inside a word."""
    return _HIDING.sub("", unicodedata.normalize("NFKC", _few(text)))


def _normal(text: str) -> str:
    # Of a thousand marks on a letter few are left first: to order them takes a million steps.
    return unicodedata.normalize("NFC", _few(text))


def _few(text: str) -> str:
    return _TOO_MANY.sub(r"\g<few>", text)
