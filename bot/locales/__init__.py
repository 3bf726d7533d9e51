"""The texts that members see, by language; English is the only one so far."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDER = Path(__file__).parent


def say(key: str, **values: object) -> str:
    """The text called `key` (`"story.waiting"`), with its `{names}` filled in.

    Raises:
        KeyError: There is no such text, or it wants a value that was not given.
    """
    return _texts()[key].format(**values)


def say_list(items: Sequence[str], separator: str, limit: int) -> str:
    """As many of the items as fit into `limit` characters, and how many more there are."""
    whole = separator.join(items)
    if len(whole) <= limit:
        return whole
    room, kept = limit - len(separator + say("list.more", count=len(items))), 0
    for item in items:
        room -= len(item) + len(separator)
        if room < 0:
            break
        kept += 1
    return separator.join([*items[:kept], say("list.more", count=len(items) - kept)])


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
