"""The texts that members see: a folder a language, in it a file a subject.

Which language is spoken goes with the task: whoever answers an interaction says it once, at the
edge (`speaking`), and every `say` below speaks it.
"""

from __future__ import annotations

import tomllib
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bot.locales.formatting import CATEGORIES, filling, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Text = str | Mapping[str, str]

_FOLDER = Path(__file__).parent
ENGLISH = "en"
LANGUAGES = tuple(sorted(folder.name for folder in _FOLDER.iterdir() if any(folder.glob("*.toml"))))
"""Those that there are texts in, as Discord abbreviates them: `en`, `ja`, `zh-CN`."""

NAMES = "command.name."
"""Prefix of the keys under which other languages name commands, options and choices."""

_spoken: ContextVar[str] = ContextVar("spoken", default=ENGLISH)
_command_ids: ContextVar[Mapping[str, int]] = ContextVar(
    "command_ids", default=MappingProxyType({})
)


@lru_cache(maxsize=128)  # at each start discord.py asks ten thousand times
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


def speak(language: str) -> None:
    """Say everything from now on in one of `LANGUAGES`, in this task and those that it starts.

    For the edge where a task begins with an interaction; elsewhere `speaking` ends as well.
    """
    _spoken.set(language)


def name_commands(ids: Mapping[str, int]) -> None:
    """Name commands from now on so that they can be clicked, in this task as `speak`.

    Args:
        ids: Discord's, by the names of commands or their groups.
    """
    _command_ids.set(ids)


def command(name: str) -> str:
    """A command in a text, such as `openings propose`: to be clicked where its id is known."""
    known = _command_ids.get().get(name.partition(" ")[0])
    return f"</{name}:{known}>" if known else f"**/{name}**"


class _Values(dict[str, Any]):
    """What is filled into a text; a `{/name}` that nobody gives is a command."""

    def __missing__(self, key: str) -> str:
        if not key.startswith("/"):
            raise KeyError(key)
        return command(key[1:])


def spoken() -> str:
    """The language that is spoken now."""
    return _spoken.get()


def say(key: str, **values: Any) -> str:
    """The text called `key` (`"story.waiting"`), with its `{names}` filled in, and `{/commands}`.

    A text that is a table of plural categories is chosen by the value called `count`.

    Raises:
        KeyError: There is no such text, or it wants a value that was not given.
    """
    language = spoken()
    text = _texts(language).get(key)
    if text is None:
        language, text = ENGLISH, _texts(ENGLISH)[key]
    if not isinstance(text, str):
        text = text.get(plural(language, values["count"]), text["other"])
    return filling(language).vformat(text, (), _Values(values))


def translated(english: str, language: str) -> str | None:
    """What one of the English texts is in another language; None: it is no text of ours.

    For texts that Discord keeps: it shows each member a command's description in their language.
    """
    key = _keys().get(english)
    text = key and _texts(language).get(key)
    return text if isinstance(text, str) and text else None


def translated_name(name: str, language: str) -> str | None:
    """What a command, an option or a choice is called in another language; None: the same."""
    text = _texts(language).get(f"{NAMES}{name}")
    return text if isinstance(text, str) else None


def say_number(value: float, places: int = 0) -> str:
    """A number as the spoken language writes it, with so many decimal places."""
    return filling(spoken()).format_field(value, f".{places}n")


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
def _keys() -> dict[str, str]:
    """Every English text's key; of two that say the same, that of a command."""
    texts = sorted(_texts().items(), key=lambda item: item[0].startswith("command."))
    return {text: key for key, text in texts if isinstance(text, str)}


@cache
def _texts(language: str = ENGLISH) -> dict[str, Text]:
    """Every text under its dotted key; one with plurals as a table of categories."""
    texts: dict[str, Text] = {}

    def flatten(table: dict[str, Any], prefix: str) -> None:
        for name, value in table.items():
            if not isinstance(value, dict):
                texts[prefix + name] = str(value).strip("\n")
            elif "other" in value and value.keys() <= CATEGORIES:
                texts[prefix + name] = {form: str(of).strip("\n") for form, of in value.items()}
            else:
                flatten(value, f"{prefix}{name}.")

    for file in sorted((_FOLDER / language).glob("*.toml")):
        flatten(tomllib.loads(file.read_text(encoding="utf-8")), "")
    return texts
