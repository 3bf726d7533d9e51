"""Everything that is said has a text, and every text is said."""

from __future__ import annotations

import ast
import string
from pathlib import Path

from discord import app_commands

from bot.commands import EVERY
from bot.commands.muting import TIMES
from bot.database.browsing import Span
from bot.database.duels import Choice
from bot.database.limits import Scope
from bot.database.tables import Length, State
from bot.database.trail import Act
from bot.locales import LANGUAGES, _texts, say
from bot.messages.settings_page import Page
from bot.openings import ARTICLE, OPENINGS
from bot.safety.beginnings import Refusal
from bot.safety.own_words import WordRefusal

BOT = Path(__file__).parents[2] / "bot"
CHOSEN_BY_NAME = {
    *(f"sorry.{refusal}" for refusal in Refusal),
    *(f"sorry.queue_{scope}" for scope in Scope),
    *(f"list.span.{span}" for span in Span),
    *(f"details.length_of.{length}" for length in Length),
    *(f"settings.{page}" for page in Page),
    *(f"settings.{length}" for length in Length),
    *(f"settings.{what}" for what in ("framed", "plain", "announce_model", "learning")),
    *(f"settings.modal.{name}" for name in ("cooldown", "quota", "per_member", "per_server")),
    *(f"trail.act.{act.replace(' ', '_')}" for act in Act),
    *(f"mute.time.{time}" for time in TIMES),
    *(f"language.{language}" for language in LANGUAGES),
    *(f"duel.voted_{choice}" for choice in Choice),
    *(f"sorry.word_{refusal}" for refusal in WordRefusal),
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


def test_every_text_can_be_filled_in() -> None:
    for key, text in _texts().items():
        names = {name for _, name, _, _ in string.Formatter().parse(text) if name}
        assert say(key, **dict.fromkeys(names, 1)), key


def test_commands_describe_themselves_within_discords_limits() -> None:
    for command in EVERY:
        if isinstance(command, app_commands.ContextMenu):
            assert 1 <= len(command.name) <= 32
        else:
            assert 1 <= len(command.description) <= 100


def test_the_house_has_many_openings_the_articles_among_them() -> None:
    assert set(ARTICLE) <= set(OPENINGS)
    assert len(set(OPENINGS)) == len(OPENINGS) >= 48
    assert all(2 <= len(opening.split()) <= 8 for opening in OPENINGS)
