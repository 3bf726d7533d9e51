"""The texts that members see: a folder a language, in it a file a subject.

Which language is spoken goes with the task: whoever answers an interaction says it once, at the
edge (`speaking`), and every `say` below speaks it.
"""

from __future__ import annotations

import tomllib
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FOLDER = Path(__file__).parent
ENGLISH = "en"
LANGUAGES = tuple(sorted(folder.name for folder in _FOLDER.iterdir() if any(folder.glob("*.toml"))))
"""Those that there are texts in, as Discord abbreviates them: `en`, `ja`, `zh-CN`."""

_spoken: ContextVar[str] = ContextVar("spoken", default=ENGLISH)


def language_of(locale: str | None) -> str:
    """The language for one of Discord's locales (`en-GB`, `ja`); English where we have no texts."""
    if locale in LANGUAGES:
        return locale
    plain = (locale or "").partition("-")[0]
    return next((one for one in LANGUAGES if one.partition("-")[0] == plain), ENGLISH)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Say everything within in one of `LANGUAGES`, in this task and those that it starts."""
    before = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(before)


def spoken() -> str:
    """The language that is spoken now."""
    return _spoken.get()


def say(key: str, **values: object) -> str:
    """The text called `key` (`"story.waiting"`), with its `{names}` filled in.

    Raises:
        KeyError: There is no such text, or it wants a value that was not given.
    """
    text = _texts(spoken()).get(key) or _texts(ENGLISH)[key]
    return text.format(**values)


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
def _texts(language: str = ENGLISH) -> dict[str, str]:
    """Every text under its dotted key."""
    texts: dict[str, str] = {}

    def flatten(table: dict[str, object], prefix: str) -> None:
        for name, value in table.items():
            if isinstance(value, dict):
                flatten(value, f"{prefix}{name}.")
            else:
                texts[prefix + name] = str(value).strip("\n")

    for file in sorted((_FOLDER / language).glob("*.toml")):
        flatten(tomllib.loads(file.read_text(encoding="utf-8")), "")
    return texts
