"""What a member may begin a story with."""

from __future__ import annotations

import re
from enum import StrEnum

from bot.safety.visible import visible

_INVITE = re.compile(
    r"discord(?:app)?\.(?:gg|com\s*/\s*invite)|\bdsc\.gg|\bdiscord\.me", re.IGNORECASE
)
_LINK = re.compile(r"(?i)\b[a-z][a-z0-9+.-]{1,15}://|\bwww\.\S|\bmailto:")
_MENTION = re.compile(r"(?i)<(?:@[!&]?|#|/|id:|t:|a?:\w+:)[^<>]*>|@(?:everyone|here)\b")


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
    prompt = " ".join("".join(visible(given)).split())
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
