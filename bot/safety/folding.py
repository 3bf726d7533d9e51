"""What a character is meant to be read as, however it is written."""

# ruff: noqa: RUF001  # letters that look like others are what this is about

from __future__ import annotations

import unicodedata
from functools import lru_cache

import regex

from bot.safety.classes import IGNORED, UNSPACED

LEET = dict(zip("0123456789@$!|+(€£¢¥§", "oizeasgtbgasiitcelcys", strict=True))
"""Digits and signs that stand for a letter; a 1 may be an l as well."""
MASKS = frozenset("*#%•●×")
"""What stands in place of a letter that everybody can guess."""
MASK = "*"

_VOICED = "\u3099\u309a"
"""Marks that make another kana of the one before."""
_UNSEEN = regex.compile(rf"[{IGNORED}\u2800]", regex.V1)
_MARK = regex.compile(r"\p{M}")
_UNSPACED = regex.compile(UNSPACED, regex.V1)
_KATAKANA = regex.compile(r"[\p{Script=Katakana}ー]")
_KANA = regex.compile(r"[\p{Script=Katakana}\p{Script=Hiragana}ー]")

_LOOK_ALIKES = {
    "a": "аαɑᴀɐ₳ꭺ",
    "b": "вьʙɓ฿ъƅβ",
    "c": "сϲᴄɔƈ₵",
    "d": "ԁᴅɗđժ",
    "e": "еєεɛᴇəҽ℮",
    "f": "ғƒꜰϝſք",
    "g": "ɡɢǥցɠԍ",
    "h": "һнʜħհɦ",
    "i": "іιɪıɩӏƚ",
    "j": "јᴊʝյϳ",
    "k": "кκᴋƙқ",
    "l": "ʟłɭℓլ",
    "m": "мᴍɱ",
    "n": "пηɴɲռ",
    "o": "оοσᴏøօ๐ѳ",
    "p": "рρᴘþҏ",
    "q": "ԛզɋ",
    "r": "гʀɾɼ",
    "s": "ѕꜱʂς",
    "t": "тτᴛŧ",
    "u": "υμᴜսцʋմ",
    "v": "ѵνᴠ∨",
    "w": "ԝωᴡшɯա",
    "x": "хχ",
    "y": "уγʏүყ",
    "z": "ᴢʐƶ",
}
_LETTER = {ord(like): letter for letter, likes in _LOOK_ALIKES.items() for like in likes}
_LETTER |= {
    first + number: chr(ord("a") + number)
    # White letters on black discs and squares, and those that flags are made of.
    for first in (0x1F150, 0x1F170, 0x1F1E6)
    for number in range(26)
}


@lru_cache(maxsize=1 << 14)
def folded(char: str) -> str:
    """The plain characters that one is read as: lower case, no marks; nothing if it is not seen.

    Latin, and whatever looks like it, becomes ASCII. Kana keep the marks that make them what they
    are. What has no other reading stays.
    """
    if char.isascii():
        return char.lower()
    if _UNSEEN.match(char):
        return ""
    plain = unicodedata.normalize("NFKC", char)
    if _KANA.match(plain) or plain in _VOICED:
        return plain
    plain = unicodedata.normalize("NFKD", char).casefold().translate(_LETTER)
    return _MARK.sub("", plain)


@lru_cache(maxsize=1 << 14)
def kind(char: str) -> str:
    """What neighbours have to share to be of one word; nothing in scripts without spaces."""
    if char.isdigit():
        return "digit"
    if char in _VOICED:
        return "mark"
    if _KATAKANA.match(char):
        return "katakana"
    if char == MASK or (char.isalpha() and not _UNSPACED.match(char)):
        return "letter"
    return ""
