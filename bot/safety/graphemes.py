"""What a reader calls one character, however many code points it is written with."""

from __future__ import annotations

import regex

GRAPHEME = regex.compile(
    r"(?:\p{RI}{2}[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}]*+|\X)", regex.V1
)
r"""An extended grapheme cluster. Flags are named apart: at each of them in a row, `\X` alone looks
back to the first, and 100 kB of flags take it more than a minute."""
POINTS = 16
"""Code points that a grapheme may have; the longest in use, two people with skins who kiss, has
ten."""


def length(text: str) -> int:
    """Graphemes of a text; one of more than 16 code points counts once for each 16 begun.

    So what is within a limit is bounded in memory and tokens as well, whatever it is made of.
    """
    if text.isascii():
        return len(text)
    return sum(-(-len(grapheme) // POINTS) for grapheme in GRAPHEME.findall(text))
