"""What a member may begin a story with."""

from __future__ import annotations

import bisect
import re
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.safety.graphemes import length
from bot.safety.visible import bare, visible
from bot.safety.word_filter import house_filter, self_harm_filter
from bot.safety.words import WORD

if TYPE_CHECKING:
    from bot.safety.word_filter import WordFilter

_INVITE = re.compile(
    r"discord(?:app)?[.。](?:(?:gg|gift|me|new)(?![a-z])|com\s*/\s*invite)|(?<![a-z0-9])dsc[.。]gg",
    re.IGNORECASE,
)
_LINK = re.compile(r"[a-z][a-z0-9+.-]{1,15}://|(?<![a-z0-9])(?:www\.\S|mailto:)", re.IGNORECASE)
_MENTION = re.compile(
    r"<(?:@[!&]?|#|/|id:|t:|a?:\w+:)[^<>]*>|@(?:everyone|here)(?![a-z0-9_])", re.IGNORECASE
)


_EMOJI = re.compile(r"<a?(:\w{1,32}:)\d{1,20}>")
"""A server's own picture, moving or not: who has none of its name reads the name."""


class Refusal(StrEnum):
    """Why a beginning cannot be told from."""

    TOO_LONG = "too_long"
    INVITE = "invite"
    LINK = "link"
    MENTION = "mention"
    SELF_HARM = "self_harm"
    """Somebody speaks of their own death: they get help named instead of a story."""
    UNFIT = "unfit"
    OWN_WORD = "own_word"
    """It has one of the words that the server's moderators want nowhere."""


class PromptRefusedError(Exception):
    """A member's beginning breaks one rule."""

    def __init__(self, refusal: Refusal, *, limit: int = 0, length: int = 0) -> None:
        super().__init__(f"prompt refused: {refusal}")
        self.refusal = refusal
        self.limit = limit
        self.length = length


def end_of(text: str, limit: int) -> str:
    """The end of a text, on one line and from the beginning of a word, in `limit` graphemes."""
    line = _one_line(text)
    starts = [0, *(word.start() for word in WORD.finditer(line)), len(line)]
    first = bisect.bisect_left(starts, -limit, key=lambda start: -length(line[start:]))
    return line[starts[first] :]


def checked_prompt(given: str, limit: int, own: WordFilter | None = None) -> str:
    """The beginning as it is kept: one line, single spaces, nothing invisible; may be empty.

    Of a server's own emoji its name is kept, `:fox:`.

    Args:
        given: What a member wrote.
        limit: Graphemes that it may have.
        own: The server's own words.

    Raises:
        PromptRefusedError: It is longer than that; or holds an invite, a link, a mention or
            something unfit, be they in fancy letters or with something invisible inside; or its
            writer may be in danger from themselves.
    """
    prompt = _one_line(given)
    looked_at = _named(bare(given))
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
    check_fit(prompt, own)
    return prompt


def _one_line(text: str) -> str:
    return " ".join(_named(visible(text)).split())


def _named(text: str) -> str:
    return _EMOJI.sub(r"\1", text)


def check_fit(prompt: str, own: WordFilter | None = None) -> None:
    """Look for what no beginning may hold; `own`: the server's own words.

    Raises:
        PromptRefusedError: There is some.
    """
    if self_harm_filter().finds(prompt):
        raise PromptRefusedError(Refusal.SELF_HARM)
    if house_filter().finds(prompt):
        raise PromptRefusedError(Refusal.UNFIT)
    if own is not None and own.finds(prompt):
        raise PromptRefusedError(Refusal.OWN_WORD)
