"""The texts that members see, by language; English is the only one so far."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent


def say(key: str, **values: object) -> str:
    """The text called `key` (`"story.waiting"`), with its `{names}` filled in.

    Raises:
        KeyError: There is no such text, or it wants a value that was not given.
    """
    return _texts()[key].format(**values)


@cache
def _texts(language: str = "en") -> dict[str, str]:
    """Every text under its dotted key."""
    texts: dict[str, str] = {}

    def flatten(table: dict[str, object], prefix: str) -> None:
        for name, value in table.items():
            if isinstance(value, dict):
                flatten(value, f"{prefix}{name}.")
            else:
                texts[prefix + name] = str(value).strip("\n")

    flatten(tomllib.loads((_FOLDER / f"{language}.toml").read_text(encoding="utf-8")), "")
    return texts
