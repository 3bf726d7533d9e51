"""What of a tale so far the model reads before it tells the next part.

Small models read few words, take the end of what they read for the end of a tale, and forget who
it is about. So of a long tale they get how it began, who was last named of those whom it names
most often, and its last sentences.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import regex

LOOKED_AT = 8000
"""Characters at the end of a tale that are looked at: what a long one costs has a bound."""
LONGEST_WORD = 50
"""Characters after which what has no space is not taken for a word."""

_ENDS = regex.compile(
    r"""(?<![.!?…])[.!?…]++ ["'”’»)\]]*+ \s++ (?!\p{Ll})
      | [。！？]+ [」』）]* \s*""",  # noqa: RUF001  # Japanese has marks of its own
    regex.VERBOSE,
)
NAME = regex.compile(r"(?<=[\p{Ll},;]\ )\p{Lu}\p{Ll}{2,}")
"""A capital letter within a sentence. Where a script has none, nobody is known by name."""


def recalled(tale: str, words: str, memory: int) -> str:
    """Give what the next part begins from.

    Args:
        tale: All parts so far.
        words: Those that a member wants to go on with, or none; they come last.
        memory: Characters of all that at most.
    """
    whole = " ".join(filter(None, (tale, words)))
    if len(whole) <= memory:
        return whole
    first, *others = _sentences(whole[:memory]) or [""]
    begin = first if others else ""  # or it goes on
    if words and len(words) <= memory:
        begin = begin if len(begin) <= len(tale) else ""
        later, last = _sentences(f"{tale} "[len(begin) :][-LOOKED_AT:]), words
    else:
        later = _sentences(whole[len(begin) :][-LOOKED_AT:])
        last = later.pop()
    if len(last) > memory:
        end = last[len(last) - memory :]
        # The first word may be half of one; a script without spaces has none to be cut.
        return end[end.find(" ", 0, LONGEST_WORD) + 1 :]
    room = memory - len(last)
    begin = begin if len(begin) <= room else ""
    room -= len(begin)
    chosen: list[int] = []
    named = _naming([*later, last])
    if named is not None and named < len(later) and len(later[named]) <= room:
        chosen.append(named)
        room -= len(later[named])
    for index in reversed(range(len(later))):
        if index in chosen:
            continue
        if len(later[index]) > room:
            break
        chosen.append(index)
        room -= len(later[index])
    return begin + "".join(later[index] for index in sorted(chosen)) + last


def _sentences(text: str) -> list[str]:
    """Parts of it that make up all of it, each with the space behind it."""
    cuts = [0, *(end.end() for end in _ENDS.finditer(text)), len(text)]
    return [text[begin:end] for begin, end in pairwise(cuts) if begin < end]


def _naming(sentences: list[str]) -> int | None:
    """The last sentence that names whom they name most often; None where they name nobody."""
    names = Counter(name for sentence in sentences for name in NAME.findall(sentence))
    if not names:
        return None
    (name, _), *_ = names.most_common(1)
    return max(index for index, sentence in enumerate(sentences) if name in sentence)
