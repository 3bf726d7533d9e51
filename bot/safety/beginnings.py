"""What a member may begin a story with."""

from __future__ import annotations

import bisect
import re
from enum import StrEnum

from bot.safety.graphemes import length
from bot.safety.visible import bare, visible
from bot.safety.words import WORD

_INVITE = re.compile(
    r"discord(?:app)?[.。](?:(?:gg|gift|me|new)(?![a-z])|com\s*/\s*invite)|(?<![a-z0-9])dsc[.。]gg",
    re.IGNORECASE,
)
_LINK = re.compile(r"[a-z][a-z0-9+.-]{1,15}://|(?<![a-z0-9])(?:www\.\S|mailto:)", re.IGNORECASE)
_MENTION = re.compile(
    r"<(?:@[!&]?|#|/|id:|t:|a?:\w+:)[^<>]*>|@(?:everyone|here)(?![a-z0-9_])", re.IGNORECASE
)


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


def end_of(text: str, limit: int) -> str:
    """The end of a text, on one line and from the beginning of a word, in `limit` graphemes."""
    line = " ".join(visible(text).split())
    starts = [0, *(word.start() for word in WORD.finditer(line)), len(line)]
    first = bisect.bisect_left(starts, -limit, key=lambda start: -length(line[start:]))
    return line[starts[first] :]


def checked_prompt(given: str, limit: int) -> str:
    """The beginning as it is kept: one line, single spaces, nothing invisible; may be empty.

    Raises:
        PromptRefusedError: It is longer than `limit` graphemes, or holds an invite, a link or a
            mention, be they in fancy letters or with something invisible inside.
    """
    prompt = " ".join(visible(given).split())
    looked_at = bare(given)
    size = length(prompt)
    checks = (
        (size > limit, Refusal.TOO_LONG),
        (_INVITE.search(looked_at), Refusal.INVITE),
        (_LINK.search(looked_at), Refusal.LINK),
        (_MENTION.search(looked_at), Refusal.MENTION),
    )
    for broken, refusal in checks:
        if broken:
            raise PromptRefusedError(refusal, limit=limit, length=size)
    return prompt
