"""Which languages a model knows, as its own card says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml
from huggingface_hub.repocard import metadata_load

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = 16
"""Characters of a code."""
LONGEST_CARD = 1 << 20
"""Bytes."""


def languages_of(folder: Path) -> list[str]:
    """The codes (`en`) that the front matter of a model's README names; none where it says nothing.

    What is not understood there says nothing either.
    """
    card = folder / "README.md"
    try:
        if card.stat().st_size > LONGEST_CARD:
            return []
        said = (metadata_load(card) or {}).get("language")
    except (OSError, ValueError, yaml.YAMLError):
        return []
    codes = said if isinstance(said, list) else [said]
    return [code for code in codes if isinstance(code, str) and 0 < len(code) <= LONGEST]
