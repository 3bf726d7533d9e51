"""Everything that is said has a text, and every text is said."""

from __future__ import annotations

import ast
import datetime as dt
import string
from pathlib import Path
from typing import TYPE_CHECKING, Any

import discord
import pytest
import regex
from discord import app_commands

from bot.command_texts import CommandTexts
from bot.commands import EVERY
from bot.commands.help import Audience, every
from bot.commands.muting import TIMES
from bot.database.browsing import Span
from bot.database.duels import Choice
from bot.database.guild_settings import GuildSettings
from bot.database.limits import Scope
from bot.database.tables import Length, State
from bot.database.trail import Act
from bot.locales import ENGLISH, LANGUAGES, NAMES, _texts, language_of, say, speaking
from bot.locales.formatting import Filling, categories, plural
from bot.messages.settings_page import Page
from bot.openings import ARTICLE, OPENINGS
from bot.safety.beginnings import Refusal
from bot.safety.own_words import WordRefusal
from bot.watching import Look

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.locales import Text

BOT = Path(__file__).parents[2] / "bot"
CHOSEN_BY_NAME = {
    *(f"help.{audience.value}" for audience in Audience),
    "sorry.openings_server",
    "sorry.openings_member",
    *(f"sorry.{refusal}" for refusal in Refusal),
    *(f"sorry.queue_{scope}" for scope in Scope),
    *(f"list.span.{span}" for span in Span),
    *(f"details.length_of.{length}" for length in Length),
    *(f"settings.{page}" for page in Page),
    *(f"settings.{length}" for length in Length),
    *(f"settings.{what}" for what in ("framed", "plain", "announce_model", "learning")),
    *(f"settings.modal.{name}" for name in ("cooldown", "quota", "per_member", "per_server")),
    *(f"trail.act.{act.replace(' ', '_')}" for act in Act),
    *(f"trail.setting.{name}" for name in GuildSettings.model_fields),
    *("trail.story", "trail.opening"),
    *(f"mute.time.{time}" for time in TIMES),
    *(f"language.{language}" for language in LANGUAGES),
    *(f"duel.voted_{choice}" for choice in Choice),
    *(f"sorry.word_{refusal}" for refusal in WordRefusal),
    *(f"host.course.{name}" for name in Look._fields),
    *(f"story.{state}" for state in (State.FAILED, State.CANCELLED, State.EXPIRED)),
}


def said() -> set[str]:
    """Every text that the code names in full."""
    keys = set()
    for file in BOT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                keys.add(node.value)
    return keys & _texts().keys()


def test_every_text_is_said_and_everything_said_has_a_text() -> None:
    assert said() | CHOSEN_BY_NAME == _texts().keys()


def forms(text: Text) -> dict[str, str]:
    """A text by plural category; `other` where it has no others."""
    return {"other": text} if isinstance(text, str) else dict(text)


def fields(text: Text) -> set[tuple[str, str]]:
    """What is filled into a text, and how it is written; how many there are may be left unsaid."""
    return {
        (name, spec or "")
        for form in forms(text).values()
        for _, name, spec, _ in string.Formatter().parse(form)
        if name is not None
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_can_be_filled_in(language: str) -> None:
    for key, text in _texts(language).items():
        for count in (1, 2):
            # A day is a number too, as far as its name asks.
            given: dict[str, Any] = {name: count for name, _ in fields(text)} | {"count": count}
            given |= {name: dt.date(2026, 1, 31) for name, spec in fields(text) if spec == "date"}
            with speaking(language):
                assert say(key, **given), key


WORDS = {
    *("a", "act", "attribution", "b", "channel", "channels", "command"),
    *("detail", "does", "drawn", "duels", "hour", "latency", "likes", "link", "member"),
    *("model", "models", "moderator", "mood", "moods", "name", "names", "number"),
    *(
        "opening",
        "parts",
        "passed_on",
        "place",
        "quotas",
        "range",
        "reason",
        "reference",
        "role",
        "seed",
        "servers",
        "setting",
        "since",
        "stars",
        "state",
        "title",
    ),
    *("until", "value", "version", "when", "word", "words", "writers"),
}
"""What texts are filled in with that is no number to be read: words, lists, ids, hours, seeds."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_number_is_written_as_the_language_does(language: str) -> None:
    for key, text in _texts(language).items():
        for form in [text] if isinstance(text, str) else text.values():
            for _, name, kind, _ in string.Formatter().parse(form):
                is_word = name is None or name.startswith("/") or name in WORDS
                assert is_word or kind, f"{key}: {name}"


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_command_that_a_text_names_is_there_and_can_be_clicked(language: str) -> None:
    tree = app_commands.CommandTree(discord.Client(intents=discord.Intents.none()))
    for command in EVERY:
        tree.add_command(command)
    commands = {command.qualified_name for command in every(tree)}
    named = {n for text in _texts(language).values() for n, _ in fields(text) if n[0] == "/"}
    assert {name[1:] for name in named} <= commands
    assert len(named) > 8
    plain = [key for key, text in _texts(language).items() if "**/" in str(text)]
    assert plain == []


@pytest.mark.parametrize("language", sorted({*LANGUAGES} - {ENGLISH}))
def test_every_language_has_every_text_and_no_other(language: str) -> None:
    theirs = {key for key in _texts(language) if not key.startswith(NAMES)}
    assert theirs == _texts().keys()


@pytest.mark.parametrize("language", sorted({*LANGUAGES} - {ENGLISH}))
def test_every_language_fills_in_what_english_does(language: str) -> None:
    theirs = _texts(language)
    for key, text in _texts().items():
        # Numbers are written by the language, so how one is written may differ, but not what.
        assert {n for n, _ in fields(theirs[key])} == {n for n, _ in fields(text)}, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_plural_has_a_form_for_every_count(language: str) -> None:
    for key, text in _texts(language).items():
        if not isinstance(text, str):
            assert text.keys() == categories(language), key
    english = {key for key, text in _texts().items() if not isinstance(text, str)}
    here = {key for key, text in _texts(language).items() if not isinstance(text, str)}
    assert here == english


LIMITS = {"name": 32, "description": 100}
"""Characters that Discord takes for what commands, options and choices are called and say."""
CHOICE_LIMIT = 100


def entries(payload: dict[str, Any], *, choice: bool = False) -> Iterator[tuple[str, str, int]]:
    """Every name and description of a command, in every language: what it is, the text, limit."""
    for what, limit in LIMITS.items():
        limit = CHOICE_LIMIT if choice else limit  # noqa: PLW2901
        for text in (payload.get(what), *(payload.get(f"{what}_localizations") or {}).values()):
            if text:
                yield ("choice" if choice else what), text, limit
    for option in payload.get("options", []):
        yield from entries(option)
    for option in payload.get("choices", []):
        yield from entries(option, choice=True)


async def payloads() -> list[dict[str, Any]]:
    """The commands as Discord is told of them, translated."""
    tree = app_commands.CommandTree(discord.Client(intents=discord.Intents.none()))
    for command in EVERY:
        tree.add_command(command)
    texts = CommandTexts()
    return [await command.get_translated_payload(tree, texts) for command in tree.get_commands()]


async def test_commands_are_within_discords_limits_in_every_language() -> None:
    for payload in await payloads():
        for what, text, limit in entries(payload):
            assert 1 <= len(text) <= limit, text
            if what == "name" and payload["type"] == 1:
                assert regex.fullmatch(r"[-_'\p{L}\p{N}]+", text), text
                assert text == text.lower()


async def test_every_name_and_description_is_translated() -> None:
    def untranslated(payload: dict[str, Any], *, choice: bool = False) -> Iterator[str]:
        for what in LIMITS:
            if payload.get(what) and not choice:
                theirs = payload.get(f"{what}_localizations") or {}
                yield from (payload[what] for one in LANGUAGES if one not in {ENGLISH, *theirs})
        for option in payload.get("options", []):
            yield from untranslated(option)

    assert [text for payload in await payloads() for text in untranslated(payload)] == []


async def test_names_of_one_place_differ_in_every_language() -> None:
    def twice(payloads: list[dict[str, Any]]) -> Iterator[str]:
        for language in LANGUAGES:
            names = [
                (of["type"], of.get("name_localizations", {}).get(language, of["name"]))
                for of in payloads
            ]
            yield from (name for kind, name in names if names.count((kind, name)) > 1)
        for payload in payloads:
            yield from twice(payload.get("options", []))

    assert list(twice(await payloads())) == []


@pytest.mark.parametrize("language", sorted({*LANGUAGES} - {ENGLISH}))
async def test_no_name_is_translated_that_there_is_not(language: str) -> None:
    def names(payload: dict[str, Any]) -> Iterator[str]:
        yield payload["name"]
        for below in (*payload.get("options", []), *payload.get("choices", [])):
            yield from names(below)

    known = {name for payload in await payloads() for name in names(payload)}
    translated = {key.removeprefix(NAMES) for key in _texts(language) if key.startswith(NAMES)}
    assert translated <= known


BUTTON, TITLE = 80, 45
"""Characters that Discord takes on a button, and over a modal."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_buttons_and_titles_of_modals_are_short_enough(language: str) -> None:
    for key, text in _texts(language).items():
        for form in forms(text).values():
            if key.startswith("button."):
                assert len(form) <= BUTTON, key
            if key.startswith("modal.") and key.endswith(".title"):
                assert len(form) <= TITLE, key


def test_a_count_chooses_its_plural_and_numbers_are_written_as_the_language_does() -> None:
    assert say("story.rated", mean=4.5, count=1) == " · ★ 4.5 from 1 vote"
    assert say("story.rated", mean=4.25, count=1234) == " · ★ 4.2 from 1,234 votes"
    with speaking("ja"):
        assert say("story.rated", mean=4.5, count=1) == " · ★ 4.5（1票）"
    assert Filling("de").format("{0:n} {0:.1n} {1:date}", 1234.5, dt.date(2026, 1, 31)) == (
        "1.234,5 1.234,5 31.01.2026"
    )
    assert plural("ru", 3) == "few"


def test_what_a_language_lacks_is_said_in_english() -> None:
    with speaking("xx"):
        assert say("story.rated", mean=4.5, count=1) == " · ★ 4.5 from 1 vote"


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("en-US", "en"),
        ("en-GB", "en"),
        ("ja", "ja"),
        ("zh-CN", "zh-CN"),
        ("zh-TW", "zh-CN"),
        ("de", "en"),
        ("", "en"),
        (None, "en"),
    ],
)
def test_each_of_discords_languages_is_answered_in_one_of_ours(
    locale: str | None, language: str
) -> None:
    assert language_of(locale) == language


def test_the_house_has_many_openings_the_articles_among_them() -> None:
    assert set(ARTICLE) <= set(OPENINGS)
    assert len(set(OPENINGS)) == len(OPENINGS) >= 48
    assert all(2 <= len(opening.split()) <= 8 for opening in OPENINGS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_thing_has_one_word(language: str) -> None:
    with speaking(language):
        for length in Length:
            word = say(f"details.length_of.{length}").casefold()
            for key in (f"length.{length}", f"settings.{length}"):
                assert say(key).casefold().startswith(word), key
        part, told = say("tale.part", part=7), say("story.part_unlinked", part=7, title="")
        assert part in told
        assert "Kataribe" in say("tale.told_by", models="")


def labels(language: str) -> dict[str, str]:
    """What buttons are called, by their keys."""
    texts = _texts(language)
    return {
        key: text
        for key, text in texts.items()
        if key.startswith(("button.", "more.")) and isinstance(text, str)
    }


@pytest.mark.parametrize("language", sorted({*LANGUAGES} - {ENGLISH}))
def test_a_text_names_a_button_as_the_button_names_itself(language: str) -> None:
    called = {text: key for key, text in labels(ENGLISH).items()}
    names = labels(language)
    for key, text in _texts().items():
        for name in regex.findall(r"\*\*([^*{}]+)\*\*", "".join(forms(text).values())):
            if name in called:
                there = "".join(forms(_texts(language)[key]).values())
                assert f"**{names[called[name]]}**" in there, key


@pytest.mark.parametrize("language", sorted({*LANGUAGES} - {ENGLISH}))
def test_no_text_is_left_in_english(language: str) -> None:
    def letters(text: Text) -> str:
        """What is left of a text without what is filled in and commands, which are no words."""
        return regex.sub(r"\{[^}]*\}|/\w+|[^\p{L}]", "", "".join(forms(text).values()))

    english = _texts()
    left = [
        key
        for key, text in _texts(language).items()
        if key in english and len(letters(text)) > 1 and letters(text) == letters(english[key])
    ]
    assert left == []
