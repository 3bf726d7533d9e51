"""Texts of every kind of character, by chance but always the same, and texts that tire filters."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARTS = (
    *"aZ09 \n\\*_~|`<>[]()#+-.:/@!",
    *"éß世界かナーท้กำ한국क्षিשׁم「」。、“”…",
    *"\u0301\u0323\u0336\u20e3\u0f71\u0fb2\u064b\u3099\uff9e",
    *"\u200b\u200c\u200d\u2060\u3164\u2800\u1160\u180b\u180e\ufe0f\ufe0e\xad\u0600\ud83d\udc68",
    *"👨👩❤🏽🇯🇵🏴🩷\U000e0067\U000e007f\U000e0100각ᠨ",
    "discord",
    ".gg/abc",
    "https://",
    "www.",
    "@everyone",
    "<@1>",
    "<:a:1>",
    ":smile:",
    "\n1. ",
    "word ",
    "ｄｉｓｃｏｒｄ．ｇｇ",  # noqa: RUF001
)
TIRING = [
    *"@[\\(<:1a \n世「🇯ᄀ\u0301\u200d\u0600",
    *(
        "discord",
        "<@",
        "<:a",
        ":a",
        "www",
        "a(",
        "世[",
        "「世",
        "\n ",
        "a:/",
        "discord.com ",
        "dsc.",
    ),
    *("\u0301\u0323", "👨\u200d", "क्\u200d", "\u094d\u200d", "ᠠ\u180b", "\U0001f3f4\U000e0067"),
]
"""Repeated to 100 kB, each takes an expression that looks back or ahead too far minutes."""


def texts(count: int, parts: int = 40) -> Iterator[str]:
    """So many texts of up to `parts` parts; one character in five is any code point at all."""
    dice = random.Random(10)
    for _ in range(count):
        yield "".join(
            chr(dice.randrange(0x110000)) if dice.random() < 0.2 else dice.choice(_PARTS)
            for _ in range(dice.randrange(parts))
        )
