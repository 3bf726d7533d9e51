"""What was typed into a form that is refused is not lost: a button opens it as it was sent."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import discord
from discord import ui
from discord.ui.view import ViewStore

import bot.commands
import bot.components
from bot import answering
from bot.answering import DRAFTS, Drafts, Form
from bot.commands.openings import ProposalForm
from bot.worker.catalogue import UnknownModelError
from tests.bot.test_telling_on import my_turn
from tests.bot.village import PATIENCE
from tests.bot.world import World, labels, page, reply, texts, whisper, world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest
    import simcord

AGAIN = "Write again"


def typed(form: simcord.InteractionResult) -> list[str]:
    """What stands in the fields of a form that opens."""
    assert form.modal is not None
    return [label["component"].get("value", "") for label in form.modal["components"]]


async def submit(
    by: simcord.MemberActor, form: simcord.InteractionResult, *words: str
) -> simcord.InteractionResult:
    assert form.modal is not None
    fields = [label["component"]["custom_id"] for label in form.modal["components"]]
    return await by.submit_modal(form, dict(zip(fields, words, strict=True)))


def refusal(result: simcord.InteractionResult) -> simcord.ResponseMessage:
    """The sentence that refuses a form, and the button under it."""
    (said,) = result.followups or [reply(result)]
    assert said.ephemeral
    assert labels(said.message) == [AGAIN]
    return said


async def test_ones_turn_is_written_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        told = await w.story(prompt="One day")
        words = "She read https://example.org aloud."
        refused = refusal(await my_turn(w.ben, told, words))
        for _ in range(2):  # who closes the form opens it once more
            form = await w.ben.click(refused, label=AGAIN)
            assert typed(form) == [words]
        refused = refusal(await submit(w.ben, form, "She read www.example.org."))
        form = await w.ben.click(refused, label=AGAIN)
        assert typed(form) == ["She read www.example.org."]
        second = await w.ready(await submit(w.ben, form, "She read it aloud."))
        assert page(second) == "**She read it aloud.** a fox found the moon."


async def test_settings_are_written_again_and_what_was_emptied_stays_empty(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.services.guilds.change(w.env.guild.id, w.mod.id, cooldown=60, quota=9)
        settings = reply(await w.mod.slash(w.channel, "settings"))
        await w.mod.click(settings, custom_id="kataribe:settings:page:limits")
        form = await w.mod.click(settings, custom_id="kataribe:settings:limits")
        assert typed(form) == ["60", "9", "", ""]
        refused = refusal(await submit(w.mod, form, "", "9", "4", "many"))
        assert len(w.env.errors) == 1
        form = await w.mod.click(refused, label=AGAIN)
        assert typed(form) == ["", "9", "4", "many"]
        saved = await submit(w.mod, form, "", "9", "2", "")
        page_ = "\n".join(texts(reply(saved).message))  # in the refusal's place
        assert "**Pause between two stories of a member**: none" in page_
        kept = await w.services.guilds.settings(w.env.guild.id)
        assert (kept.cooldown, kept.quota, kept.per_member, kept.per_server) == (0, 9, 2, None)
        form = await w.mod.click(settings, custom_id="kataribe:settings:page:words")
        form = await w.mod.click(settings, custom_id="kataribe:settings:filter_words")
        words = f"moon\n{'x' * 33}"
        refused = refusal(await submit(w.mod, form, words))
        assert len(w.env.errors) == 2
        assert typed(await w.mod.click(refused, label=AGAIN)) == [words]


async def test_a_refused_proposal_is_mended_in_a_form(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        long = "The lighthouse " * 9
        refused = refusal(await w.aki.slash(w.channel, "openings propose", text=long))
        form = await w.aki.click(refused, label=AGAIN)
        assert typed(form) == [long]
        refused = refusal(await submit(w.aki, form, " \u200b"))
        assert len(w.env.errors) == 2
        form = await w.aki.click(refused, label=AGAIN)
        assert whisper(await submit(w.aki, form, "The lighthouse")).startswith("“The lighthouse”")


async def test_a_refused_beginning_is_mended_and_all_else_stays_as_it_was_chosen(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        given: dict[str, Any] = {"prompt": "See https://example.org", "mood": "calm", "seed": 5}
        refused = refusal(await w.aki.slash(w.channel, "story", **given))
        form = await w.aki.click(refused, label=AGAIN)
        assert typed(form) == ["See https://example.org"]
        refused = refusal(await submit(w.aki, form, "See @everyone"))
        form = await w.aki.click(refused, label=AGAIN)
        assert typed(form) == ["See @everyone"]
        answer = await w.ready(await submit(w.aki, form, "See me"))
        assert page(answer) == "**See me** a fox found the moon."
        assert answer.content == f"A story for {w.aki.mention}"
        story = await w.services.stories.get(1)
        assert story is not None
        assert (story.mood, story.seed) == ("calm", 5)
        refused = refusal(await w.aki.slash(w.channel, "duel", prompt="See https://example.org"))
        form = await w.aki.click(refused, label=AGAIN)
        await submit(w.aki, form, "See them")
        await w.idle()
        assert any("**See them** a fox found the moon." in text for text in texts(w.message()))
        # A form for the beginning is no help with another option.
        wrong = await w.aki.slash(w.channel, "story", prompt="See", model="nobody")
        assert labels(reply(wrong).message) == []
        assert w.refused(wrong, UnknownModelError).startswith("Nobody here is called")


async def test_who_may_be_in_danger_gets_help_and_no_form(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        told = await w.story(prompt="One day")
        said = reply(await my_turn(w.ben, told, "I want to kill myself"))
        assert "help" in said.content
        assert labels(said.message) == []


async def test_what_is_not_kept_or_another_wrote_is_said_to_be_gone(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        told = await w.story(prompt="One day")
        refused = refusal(await my_turn(w.ben, told, "see www.example.org"))
        custom_id = refused.components[0]["components"][0]["custom_id"]
        gone = "I no longer have what you wrote there. Please open the form once more."
        assert whisper(await _press(w, w.aki, custom_id)) == gone
        privacy = reply(await w.ben.slash(w.channel, "privacy"))
        await w.ben.click(privacy, label="Delete all of mine")
        await w.ben.click(privacy, label="Keep them without my name")
        assert whisper(await w.ben.click(refused, label=AGAIN)) == gone


async def test_no_more_than_a_few_are_kept() -> None:
    drafts, form = Drafts(), Form(title="form")
    for number in range(DRAFTS + 5):
        drafts.keep(_interaction(number), form)
    assert drafts.of(4, 1) is None
    assert drafts.of(5, 1) is form
    assert drafts.of(5, 2) is None


async def test_a_form_that_nobody_sends_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "FORM_LASTS", 0.01)
    client: Any = SimpleNamespace()
    form, opened = ProposalForm("The lighthouse"), ViewStore(client)
    opened.add_view(form)
    async with asyncio.timeout(PATIENCE):
        assert await form.wait()
    assert opened._modals == {}


async def _press(w: World, by: simcord.MemberActor, custom_id: str) -> simcord.InteractionResult:
    """Press a button of somebody else's, as a client of one's own may."""
    there = w.client.get_channel(w.channel.id)
    assert isinstance(there, discord.TextChannel)
    button: ui.Button[ui.View] = ui.Button(label="x", custom_id=custom_id)
    message = await there.send("x", view=ui.View(timeout=None).add_item(button))
    return await by.click(message, label="x")


def _interaction(number: int) -> Any:
    return SimpleNamespace(id=number, user=SimpleNamespace(id=1))


def _forms(of: type[Form] = Form) -> Iterator[type[Form]]:
    for form in of.__subclasses__():
        yield from _forms(form)
        if not form.__subclasses__():
            yield form


def test_every_form_can_be_opened_again() -> None:
    assert bot.commands.EVERY
    assert bot.components.EVERY  # all forms are known by now
    forms = list(_forms())
    assert len(forms) >= 7
    assert [form for form in forms if form.anew is Form.anew] == []
