"""Classes of characters as `regex` (V1) writes them, for the inside of [brackets] or whole."""

from __future__ import annotations

IGNORED = (
    r"[\p{Default_Ignorable_Code_Point}\p{Cf}--\p{Prepended_Concatenation_Mark}]"
    r"\p{Cs}\p{Co}\p{Noncharacter_Code_Point}"
)
"""Seen by nobody, or by those alone who have a certain font. The Arabic signs for numbers and
years are seen although their category is that of format controls."""

JOINED = (
    r"[[\p{L}\p{M}--\p{InSC=Other}]"
    r"[\p{L}&&[\p{JT=Dual_Joining}\p{JT=Right_Joining}\p{JT=Left_Joining}\p{JT=Join_Causing}]]"
    r"--\p{Default_Ignorable_Code_Point}]"
)
"""Letters whose form depends on whether they are joined: Arabic's kin, and those of India's."""

LETTER_OF_MONGOLIAN = r"[\p{Mongolian}&&\p{L}]"

PICTURE = r"\p{Extended_Pictographic}[\ufe0f\p{Emoji_Modifier}]{0,2}"
"""One picture (a whole pattern), perhaps with a colour of skin."""

STACKED = r"[\p{M}&&[\p{Script=Inherited}\p{Thai}\p{Lao}]]"
"""Marks of which a font sets each above the last."""

UNSPACED = (
    r"[[[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Bopomofo}\p{Yi}\p{Tibetan}"
    r"\p{Line_Break=Complex_Context}]&&[\p{L}\p{Nl}\p{No}]]"
    r"--\p{GCB=Extend}--\p{GCB=SpacingMark}]"
)
"""Letters that are written without a space between words."""

OPENING = r"[\p{Ps}\p{Pi}]"
"""Brackets and quotation marks that belong to what follows."""
