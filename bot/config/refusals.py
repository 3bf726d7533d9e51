"""What is wrong with a setting, in one line that names it where it was given."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from bot.config.sections import Mood, RemoteModel, Section

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic_core import ErrorDetails
    from pydantic_settings import BaseSettings

PREFIX = "KATARIBE_"
FOREIGN_SECTIONS = frozenset({"engine"})
"""Sections of config.toml that belong to the generator, which reads and checks them itself."""


class SettingsError(Exception):
    """Settings that cannot be used; the message has one line for each wrong one."""


def refuse_secrets(tables: dict[str, Any], path: Path) -> None:
    """Look for secrets in a file: sooner or later one there ends up in a repository.

    Raises:
        SettingsError: There is one.
    """
    names = set(_names(tables))
    if names & {"token", "discord_token"}:
        raise SettingsError(
            f"{path} must not hold the bot's token: it is a secret. "
            "Remove it there and give it in the environment as DISCORD_TOKEN"
        )
    if "api_key" in names:
        raise SettingsError(
            f"{path} must not hold an api_key: it is a secret. Remove it there and give it in "
            f"the environment, as {PREFIX}GENERATOR__API_KEY, {PREFIX}MODELS__NAME__API_KEY or "
            f"{PREFIX}HEALTH__API_KEY"
        )


def _names(tables: dict[str, Any]) -> Iterator[str]:
    for name, value in tables.items():
        yield name.lower()
        if isinstance(value, dict):
            yield from _names(value)


def refuse_unknown_variables(settings: type[BaseSettings]) -> None:
    """Look for variables of ours that no setting reads.

    Raises:
        SettingsError: There is one.
    """
    sections = settings.model_fields.keys() - {"token"}
    for variable in sorted(os.environ):
        if not variable.upper().startswith(PREFIX):
            continue
        section, _, name = variable[len(PREFIX) :].lower().partition("__")
        if "token" in {section, name}:
            raise SettingsError(f"{variable} is not read: the token is given as DISCORD_TOKEN")
        if section not in sections | FOREIGN_SECTIONS or not name:
            raise SettingsError(
                f"{variable} is no setting: variables are {PREFIX}SECTION__NAME, "
                f"with a section of {', '.join(sorted(sections))}"
            )


def sentence(settings: type[BaseSettings], details: ErrorDetails, path: Path) -> str:
    """One line that names the setting where it was given, and says what it takes."""
    section, *names = (str(part) for part in details["loc"])
    where = f"{path}: {section}"
    if names:
        variable = PREFIX + "__".join([section, *names]).upper()
        given = {name.upper() for name in os.environ}
        where = variable if variable in given else f"{path}: [{section}] {'.'.join(names)}"
    known = _fields(settings, [section, *names[:-1]]) if names else settings.model_fields
    name = names[-1] if names else section
    if details["type"] == "extra_forbidden":
        return f"{where} is no setting; there are: {', '.join(sorted(known.keys() - {'token'}))}"
    if name == "[key]":
        return f"{path}: [{section}.NAME] takes {_NAMED[section][1]}"
    takes = known[name].description if name in known else None
    # A mood, or a model, may be called like a setting: what it lacks is a table all the same.
    if takes is None or details["type"] == "model_type":
        return f"{where} takes a table of settings"
    if details["type"] == "missing":
        return f"{where} is missing: it takes {takes}"
    # An address may hold a password, and this line goes to a log.
    secret = name in {"url", "api_key"} or not known[name].repr
    got = "" if secret else f", not {details['input']!r}"
    return f"{where} takes {takes}{got}"


_NAMED: dict[str, tuple[type[Section], str]] = {
    "models": (RemoteModel, "a name of 1 to 100 characters"),
    "moods": (Mood, "a name of 1 to 32 small letters, digits and hyphens"),
}
"""Sections that hold tables under names of the host's choice."""


def _fields(settings: type[BaseSettings], path: list[str]) -> dict[str, Any]:
    section = path[0]
    if section in _NAMED:
        return dict(_NAMED[section][0].model_fields)
    annotation = settings.model_fields[section].annotation
    return dict(annotation.model_fields) if isinstance(annotation, type(Section)) else {}
