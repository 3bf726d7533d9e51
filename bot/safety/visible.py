"""The characters of a text that a reader sees."""

from __future__ import annotations

import unicodedata

_KEPT_INVISIBLE = "\u200c\u200d"
"""Joiners are invisible too, but some scripts and emoji are spelled with them."""


def visible(text: str, *, keep: str = "") -> list[str]:
    """Characters of NFC text; control characters become spaces, invisible ones go."""
    kept = []
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        if character in keep or character in _KEPT_INVISIBLE:
            kept.append(character)
        elif category in {"Cc", "Zl", "Zp", "Zs"}:
            kept.append(" ")
        elif category not in {"Cf", "Cs", "Co", "Cn"}:
            kept.append(character)
    return kept
