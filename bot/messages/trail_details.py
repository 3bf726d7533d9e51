"""What an act of the trail was done with, as people read it: no ids, no names of the code's."""

from __future__ import annotations

import ast
import datetime as dt
import re
from typing import TYPE_CHECKING, Any

import discord

from bot.database.guild_settings import GuildSettings
from bot.database.tables import Length
from bot.database.trail import Act
from bot.locales import LANGUAGES, say, say_list, say_number
from bot.safety.escaping import cut, escaped

if TYPE_CHECKING:
    from collections.abc import Callable

DETAIL, SETTINGS, LISTED = 150, 300, 200
"""Characters that are shown of one, of settings, which have nothing beside them, and of a list in
these; ten fit into an embed's 4,096."""
_SETTING = re.compile(rf"(?:^|, )({'|'.join(GuildSettings.model_fields)}) = ")
_UNTIL = re.compile(r"until (\d{4}-\d\d-\d\d \d\d:\d\d) UTC")
_NUMBERED = re.compile(r"(story|opening) (\d{1,19})")
_NO_MODEL = "default"
"""What stands there where a choice of a model was undone."""


def detail_of(act: str, detail: str) -> str:
    """What an act was done with; what nobody reads is shown as it is kept."""
    if act == Act.SETTINGS and _SETTING.match(detail):
        return _settings(detail)
    if act == Act.MODEL and detail == _NO_MODEL:
        return say("settings.hosts_model")
    if act == Act.MUTE and (found := _UNTIL.fullmatch(detail)):
        until = dt.datetime.fromisoformat(f"{found[1]}+00:00")
        return say("trail.until", when=discord.utils.format_dt(until, "f"))
    if found := _NUMBERED.fullmatch(detail):
        return say(f"trail.{found[1]}", number=found[2])
    return cut(escaped(detail), DETAIL)


def _settings(detail: str) -> str:
    """Each setting that was changed, by its name, and what it is now, as far as there is room."""
    _, *parts = _SETTING.split(detail)
    shown, room = "", SETTINGS
    for name, kept in zip(parts[::2], parts[1::2], strict=True):
        part = say("trail.set", setting=say(f"trail.setting.{name}"), value=_value(name, kept))
        if len(part) > room:
            return f"{shown}, …"
        shown = f"{shown}, {part}" if shown else part
        room -= len(part)
    return shown


def _value(name: str, kept: str) -> str:
    """A setting's value; of what an older bot wrote in another way, what it wrote."""
    try:
        value = ast.literal_eval(kept)
    except (ValueError, SyntaxError):
        value = kept  # a word stands there without quotation marks
    try:
        return _SAID[name](value)
    except (TypeError, ValueError, KeyError, AttributeError):
        return cut(escaped(kept), DETAIL)


def _channels(value: Any) -> str:
    ids = value if isinstance(value, list) else [] if value is None else [value]
    return say_list([f"<#{int(one)}>" for one in ids], ", ", LISTED) or say("trail.none")


def _quotas(value: dict[Any, Any]) -> str:
    said = [say("settings.role_quota", role=role, value=_many(n)) for role, n in value.items()]
    return say_list(said, ", ", LISTED) or say("trail.none")


def _moods(value: list[str]) -> str:
    return say_list([escaped(one) for one in value], ", ", LISTED) or say("trail.all")


def _language(value: str | None) -> str:
    if value is None:
        return say("settings.discords_language")
    return say(f"language.{value}") if value in LANGUAGES else escaped(value)


def _length(value: str | None) -> str:
    return say("settings.hosts_length") if value is None else say(f"settings.{Length(value)}")


def _switch(value: Any) -> str:
    return say("settings.on") if value else say("settings.off")


def _many(value: Any) -> str:
    return say_number(int(value)) if value else say("settings.unlimited")


def _most(value: Any) -> str:
    return say("settings.hosts_model") if value is None else say_number(int(value))


_SAID: dict[str, Callable[[Any], str]] = {
    "story_channels": _channels,
    "log_channel": _channels,
    "daily_channel": _channels,
    "announce_model": _switch,
    "learning": _switch,
    "moods": _moods,
    "length": _length,
    "plain": lambda value: say("settings.plain" if value else "settings.framed"),
    "cooldown": lambda n: say("settings.seconds", count=int(n)) if n else say("settings.no_pause"),
    "quota": _many,
    "role_quotas": _quotas,
    "per_member": _most,
    "per_server": _most,
    "filter_words": lambda value: say_number(int(value)),
    "daily_hour": lambda value: say("settings.hour", hour=int(value)),
    "language": _language,
}
