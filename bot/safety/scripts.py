"""Which letters a text is written in."""

from __future__ import annotations

import regex

_LETTER = regex.compile(r"\p{L}")
_LATIN = regex.compile(r"[\p{L}&&\p{Script=Latin}]", regex.V1)


def is_foreign_to_english(text: str) -> bool:
    """It has letters, and none that English is written with."""
    return bool(_LETTER.search(text)) and not _LATIN.search(text)
