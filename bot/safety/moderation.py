"""What may be asked, and what may be shown."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

_INVITE = re.compile(
    r"discord(?:app)?\.(?:gg|com\s*/\s*invite)|\bdsc\.gg|\bdiscord\.me", re.IGNORECASE
)
_LINK = re.compile(r"(?i)\b[a-z][a-z0-9+.-]{1,15}://|\bwww\.\S|\bmailto:")
_MENTION = re.compile(r"(?i)<(?:@[!&]?|#|/|id:|t:|a?:\w+:)[^<>]*>|@(?:everyone|here)\b")
_MARKDOWN = re.compile(r"[\\*_~|`<\[]|(?<![^\n])[#>+-]")
_LIST_NUMBER = re.compile(r"^(\d+)([.)])", re.MULTILINE)
_LIVE = re.compile(
    r"(?<=@)(?=everyone|here)|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=discord)(?=\.(?:gg|com))",
    re.IGNORECASE,
)
"""Where a zero-width space keeps Discord from making a mention or a link."""
_KEPT_INVISIBLE = "\u200c\u200d"
"""Joiners are invisible too, but some scripts and emoji are spelled with them."""


class Refusal(StrEnum):
    """Why a beginning cannot be told from."""

    TOO_LONG = "too_long"
    INVITE = "invite"
    LINK = "link"
    MENTION = "mention"


class PromptRefusedError(Exception):
    """A member's beginning breaks one rule."""

    def __init__(self, refusal: Refusal, *, limit: int, length: int) -> None:
        super().__init__(f"prompt refused: {refusal} ({length} of {limit} characters)")
        self.refusal = refusal
        self.limit = limit
        self.length = length


def checked_prompt(given: str, limit: int) -> str:
    """The beginning as it is kept: one line, single spaces, nothing invisible; may be empty.

    Raises:
        PromptRefusedError: It is longer than `limit` characters, or holds an invite, a link or
            a mention.
    """
    prompt = " ".join("".join(_visible(given)).split())
    checks = (
        (len(prompt) > limit, Refusal.TOO_LONG),
        (_INVITE.search(prompt), Refusal.INVITE),
        (_LINK.search(prompt), Refusal.LINK),
        (_MENTION.search(prompt), Refusal.MENTION),
    )
    for broken, refusal in checks:
        if broken:
            raise PromptRefusedError(refusal, limit=limit, length=len(prompt))
    return prompt


def shown(text: str) -> str:
    """Text as Discord shows it letter for letter: no markdown, no mention, no link, no emoji code.

    Text comes from members and models; neither may format, ping or link in the bot's name.
    """
    text = "".join(_visible(text, keep="\n"))
    text = re.sub(r"\n[ \t]+", "\n", text)
    text = _MARKDOWN.sub(r"\\\g<0>", text)
    text = _LIST_NUMBER.sub(r"\1\\\2", text)
    return _LIVE.sub("\u200b", text)


def _visible(text: str, *, keep: str = "") -> list[str]:
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
