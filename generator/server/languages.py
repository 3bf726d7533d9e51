"""Which languages a model knows, as its own card says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = 16
"""Characters of a code."""
LONGEST_CARD = 1 << 20
"""Bytes."""
_LONGEST_ENTRY = 2048
"""Characters of what it says of languages."""
_FRONT_MATTER = re.compile(r"\s*---[ \t]*\n(.*?\n)---[ \t]*(?:\n|\Z)", re.DOTALL)
_ENTRY = re.compile(r"^language[ \t]*:.*\n(?:(?:[ \t#-].*)?\n)*", re.MULTILINE)
"""Of YAML in blocks: the next entry begins a line."""


def languages_of(folder: Path) -> list[str]:
    """The codes (`en`) that the front matter of a model's README names; none where it says nothing.

    What is not understood there says nothing either. Only what it says of languages is read as
    YAML, which is slow: the measures of a model that was compared on everything are thousands of
    lines, and of a story's time nobody has that for them.
    """
    card = folder / "README.md"
    try:
        if not card.is_file() or card.stat().st_size > LONGEST_CARD:  # a pipe would never end
            return []
        front = _FRONT_MATTER.match(card.read_text(encoding="utf-8-sig"))
        entry = front and _ENTRY.search(front[1])
        if not entry or len(entry[0]) > _LONGEST_ENTRY:
            return []
        said = yaml.safe_load(entry[0])["language"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError, yaml.YAMLError):
        return []
    codes = said if isinstance(said, list) else [said]
    return [code for code in codes if isinstance(code, str) and 0 < len(code) <= LONGEST]
