"""Where a sentence ends in running prose: quotes, ellipses, initials and abbreviations minded."""

# ruff: noqa: RUF001 (the marks of Japanese and of good typography are what this file is about)

from __future__ import annotations

import re
import unicodedata

_TERMINATOR = re.compile(
    r"""(?P<mark> [.!?…]+ | [。！？]+ )   # "!?" and "..." are one mark
        ["'”’»)\]*_」』）]*               # what closes with the sentence
    """,
    re.VERBOSE,
)
_OPENING = "\"'“‘«([*_「『（"
_ABBREVIATION = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|Lt|Col|Capt|Sgt|vs|vol|Vol|Ep|[A-HJ-Z]|[a-z]\.[a-z])$",
)
"""What a full stop follows without ending the sentence: titles, an initial (never "I"), "e.g"."""


def sentence_end(text: str, *, complete: bool) -> int:
    """The index just past the last sentence that has ended in `text`, or 0 if none has.

    Args:
        text: prose, beginning anywhere.
        complete: nothing follows, so a mark at the very end ends its sentence. Otherwise only
            what comes next can tell ("Wait..." may go on as "Wait... what?"), and it has to be
            there.
    """
    end = 0
    for match in _TERMINATOR.finditer(text):
        if _ends(text, match, complete=complete):
            end = match.end()
    return end


def _ends(text: str, match: re.Match[str], *, complete: bool) -> bool:
    following = text[match.end() :]
    if match["mark"][0] in "。！？":  # no space follows these
        return complete or bool(following)
    if following and not following[0].isspace():
        return False  # 3.14, or a name like Re.Zero
    if match.group() == "." and _ABBREVIATION.search(text, 0, match.start()):
        return False
    upcoming = following.lstrip().lstrip(_OPENING)
    if not upcoming:
        return complete
    return not upcoming[0].islower()


_UNSPACED = (
    *("CJK ", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "BOPOMOFO", "YI "),
    *("THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"),
)
"""How the names of letters begin that are written without a space between words."""


def ends_with_a_word(text: str) -> bool:
    """Whether what follows would make another word of the last one, unless it keeps off."""
    while text and unicodedata.category(text[-1])[0] == "M":  # an accent by itself
        text = text[:-1]
    last = text[-1:]
    return last.isalnum() and not unicodedata.name(last, "").startswith(_UNSPACED)


def last_whole_word(text: str) -> int:
    """The index just past the last word of `text` that is certainly whole: one followed by space.

    Text without any space (Japanese, or one long word) has no such place: all of it counts.
    """
    return last_word_before_space(text) or (0 if text[:1].isspace() else len(text))


def last_word_before_space(text: str) -> int:
    """The same, where text without any space is not known to be whole: 0."""
    words = re.match(r"(?s)(.*\S)\s", text)
    return words.end(1) if words else 0
