"""Text that Discord shows letter for letter."""

from __future__ import annotations

import itertools
import re
import unicodedata
from typing import TYPE_CHECKING

from bot.safety.graphemes import GRAPHEME
from bot.safety.visible import visible
from bot.safety.words import WORD

if TYPE_CHECKING:
    import regex

_INLINE = re.compile(r"[\\*_~|`<\[]")
_AT_LINE_START = re.compile(r"^(?: *(?=[#>+-])|\d+(?=[.)]))", re.MULTILINE)
_LIVE = re.compile(
    r"(?<=@)(?=everyone|here)|(?<=:)(?=//|[a-z0-9_+~-]+:)|(?<=www)(?=\.)|(?<=mailto)(?=:)"
    r"|(?:(?<=discord)|(?<=discordapp))(?=\.(?:gg|com|gift|me|new))|(?<=dsc)(?=\.gg)",
    re.IGNORECASE,
)
"""Where a zero-width space keeps Discord from making a mention, a link or an emoji."""
_BREAK = "\u200b"
NAMED = 60
"""UTF-16 units of a name that somebody else gave, before it is escaped."""
_LIKE_ASCII = [*range(0x80, 0x2500), *range(0xFE00, 0x10000), *range(0x1D400, 0x1D800)]
_ASCII = {0x3002: "."} | {
    code: plain
    for code in _LIKE_ASCII
    if (plain := unicodedata.normalize("NFKC", chr(code))).isascii() and len(plain) == 1
}
"""Fullwidth, bold, circled … letters and what they mean, one for one."""


def escaped(text: str) -> str:
    """Text as Discord shows it letter for letter: no markdown, no mention, no link, no emoji code.

    Text comes from members and models; neither may format, ping or link in the bot's name.
    """
    text = re.sub(r"\n +", "\n", visible(text, lines=True))
    plain = text if text.isascii() else text.translate(_ASCII)
    pieces, end = [], 0
    for live in _LIVE.finditer(plain):
        pieces += [text[end : live.start()], _BREAK]
        end = live.start()
    text = "".join([*pieces, text[end:]])
    text = _INLINE.sub(r"\\\g<0>", text)
    return _AT_LINE_START.sub(r"\g<0>\\", text)


def short_name(name: str) -> str:
    """A name that somebody else gave, as `escaped`; what is longer than a line is cut."""
    line = " ".join(visible(name).split())
    kept = cut(line, NAMED)
    return escaped(kept if kept == line else f"{kept}…")


def unescaped(text: str) -> str:
    """Give back what `escaped` was given, as far as it was visible."""
    return re.sub(r"\\(.)", r"\1", text.replace(_BREAK, ""))


def units(text: str) -> int:
    """UTF-16 code units, Discord's measure at its strictest: its clients count these."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, room: int) -> str:
    """As much of an escaped text as `room` UTF-16 code units hold.

    It ends between two words of its script (see `bot.safety.words`), or inside the first between
    two graphemes, and never behind a backslash whose character is left out.
    """
    if units(text) <= room:
        return text
    whole = text.encode("utf-16-le", "surrogatepass")
    fitting = len(whole[: 2 * max(0, room)].decode("utf-16-le", "ignore"))
    kept = text[: _last_end(WORD, text, fitting) or _last_end(GRAPHEME, text, fitting)]
    if (len(kept) - len(kept.rstrip("\\"))) % 2:
        kept = kept[:-1]
    return kept.rstrip()


def _last_end(part: regex.Pattern[str], text: str, limit: int) -> int:
    """Where the last of the parts ends that end within the limit; 0 without any."""
    ends = (found.end() for found in part.finditer(text))
    return max(itertools.takewhile(lambda end: end <= limit, ends), default=0)
