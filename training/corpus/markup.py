"""A text that was a piece of a web page: its tags gone, its entities as characters."""

from __future__ import annotations

import html
import re

_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)
_UNSEEN = re.compile(r"<!--.*?-->|<(script|style)\b[^<>]*>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
# HTML's names alone, and no bare words behind them: a story has a <Title> and a <MAIN QUEST>.
_TAG = r"</?(?:{})(?:\s+[\w:-]+\s*=[^<>]*)?\s*/?>"
_INLINE = re.compile(
    _TAG.format(
        "a|abbr|b|big|cite|code|del|em|font|i|ins|mark|s|small|span|strike|strong|sub|sup|tt|u"
    ),
    re.IGNORECASE,
)
_BLOCK = re.compile(
    _TAG.format(
        "blockquote|br|center|dd|div|dl|dt|h[1-6]|hr|img|li|ol|p|pre|table|tbody|td|th|thead|tr|ul"
    ),
    re.IGNORECASE,
)
_ESCAPED_TIMES = 3


def without_markup(text: str) -> str:
    """Without tags and comments, `&amp;quot;` and `&#039;` as the signs that they stand for.

    A tag within a line leaves nothing, one that parts lines a line's end. Entities are those with
    their semicolon; without it, as in R&D, an ampersand is one.
    """
    for _ in range(_ESCAPED_TIMES):  # what is escaped twice is common, oftener is not
        plain = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
        if plain == text:
            break
        text = plain
    if "<" not in text:
        return text
    return _BLOCK.sub("\n", _INLINE.sub("", _UNSEEN.sub(" ", text)))
