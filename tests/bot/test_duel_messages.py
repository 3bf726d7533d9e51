"""How a duel and a contrast stand in their message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from discord import ui
from sqlalchemy import select

from bot.apologies import NoContrastError, OnlyTellerError
from bot.database.clock import now
from bot.database.duels import Tally
from bot.database.tables import Duel, Form, State, Story
from bot.locales import LANGUAGES, speaking
from bot.messages import layouts
from bot.messages.message import StoryMessage
from bot.safety.escaping import units
from tests.bot.test_duels import MODELS, VOTES
from tests.bot.world import labels, page, reply, texts, world

if TYPE_CHECKING:
    from pathlib import Path

LONG_NAME = "m_" * 50
FAMILIES = "\u200d".join(["👩🏽"] * 5) * 119
"""A beginning of few characters, each of which is many of Discord's."""


async def test_a_long_story_of_a_duel_is_read_whole_without_its_tellers_name(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        w.teller.pieces = [" word" * 500]
        result = await w.aki.slash(w.channel, "duel", prompt="In the year")
        await w.until(lambda: labels(w.message(reply(result).id))[-4:] == VOTES)
        message = w.message(reply(result).id)
        assert labels(message) == ["Read the whole", "Read the whole", *VOTES]
        read = await w.ben.click(message, custom_id="kataribe:duel-read:1")
        assert read.ephemeral
        assert page(reply(read)) == "**In the year**" + " word" * 500
        assert not any(model in str(reply(read).embeds[0].to_dict()) for model in MODELS)


async def test_the_words_of_a_duel_are_read_back_from_its_message(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        w.teller.each = 2
        result = await w.aki.slash(w.channel, "duel", prompt="In the *year*")
        begun = r"**In the \*year\*** a fox found the moon▌"
        await w.until(lambda: texts(w.message(reply(result).id)).count(begun) == 2)
        async with w.sessions() as session:
            both = list(await session.scalars(select(Story)))
        # As after a restart, when nobody but the message knows which words stand there.
        message = w.message(reply(result).id)
        words = [layouts.told_in(message, story) for story in both]
        assert words == [" a fox found the moon"] * 2


async def test_a_beginning_too_long_to_be_said_twice_stands_above_both(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        long = "On a night " * 12 + "it rained"
        result = await w.aki.slash(w.channel, "duel", prompt=long)
        await w.until(lambda: labels(w.message(reply(result).id)) == VOTES)
        head, *rest = texts(w.message(reply(result).id))
        assert head.endswith(f"which is better?\n**{long}**")
        assert rest[1] == rest[3] == "a fox found the moon."


async def test_where_one_model_tells_there_is_no_duel_and_no_contrast(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.models = ("gpt2-starter",)
        result = await w.aki.slash(w.channel, "duel", prompt="One")
        assert w.refused(result, OnlyTellerError) == "Nobody else can tell here."
        result = await w.aki.slash(w.channel, "contrast", prompt="One")
        assert w.refused(result, NoContrastError).startswith("For a contrast I need a GPT-2 and")
        assert w.teller.asked == []


async def test_a_contrast_shows_both_kinds_at_once_with_their_names(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        w.teller.each = 1
        result = await w.aki.slash(w.channel, "contrast", prompt="In the year")
        begun = "**In the year** a fox▌"
        await w.until(lambda: texts(w.message(reply(result).id)).count(begun) == 2)
        shown = texts(w.message(reply(result).id))
        assert [text for text in shown if "starter" in text] == [
            "**gpt2-starter**",
            "**lstm-starter**",
        ]
        await w.teller.release()
        buttons = ["Continue", "⋯", "Continue", "⋯"]
        await w.until(lambda: labels(w.message(reply(result).id)) == buttons)
        assert any("lstm-starter · seed " in text for text in texts(w.message(reply(result).id)))


def _all_told(form: Form, count: int, prompt: str) -> StoryMessage:
    told = {"state": State.TOLD, "ended_at": now(), "prompt": prompt, "text": " word*" * 1000}
    of = {"interaction_id": 1, "form": form, "member_id": 2**62, "model": LONG_NAME, "seed": 2**53}
    return StoryMessage.of(*(Story(id=nth + 1, nth=nth, **of, **told) for nth in range(count)))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("prompt", ["In the year", FAMILIES, "\\" * 120, "\\" * 400])
def test_several_stories_are_one_message_whatever_they_and_their_tellers_are_called(
    prompt: str, language: str
) -> None:
    duel = Duel(model_a=LONG_NAME, model_b=LONG_NAME, opened_at=now(), closes_at=now())
    closed = Duel(
        model_a=LONG_NAME, model_b=LONG_NAME, opened_at=now(), closes_at=now(), closed_at=now()
    )
    tally = Tally(10**6, 10**6, 10**6)
    with speaking(language):
        two = _all_told(Form.DUEL, 2, prompt)
        views = [layouts.duel(two, (each, tally), away="") for each in (duel, closed)]
        views.append(layouts.contrast(_all_told(Form.CONTRAST, 2, prompt), away=""))
        head = "x" * 300
        views.append(layouts.variations(_all_told(Form.VARIATION, 3, ""), head, away=""))
    for view in views:
        said = [i.content for i in view.walk_children() if isinstance(i, ui.TextDisplay)]
        assert 1500 < sum(map(units, said)) <= layouts.CHARACTERS
