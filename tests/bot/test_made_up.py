"""What a client makes up is answered in one clear sentence, whatever Discord would have offered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import discord
from discord import ui
from discord.app_commands import CommandNotFound
from sqlalchemy import select

from bot.apologies import NoSuchChoiceError, OpeningGoneError
from bot.database.tables import Audit, Opening
from bot.worker.catalogue import Catalogue, UnknownModelError
from tests.bot.world import made_up, reply, whisper, world

if TYPE_CHECKING:
    from pathlib import Path

    import simcord

    from tests.bot.world import World

TOO_LARGE = 2**63
"""One more than a column takes, of as many digits."""
NO_CHOICE = "There is no such choice. Please take one of those that are offered."
UNEXPECTED = "Something broke on my side."

PRESSED = (
    *("rate:{}:5", "continue:{}", "cancel:{}", "duel:{}:0", "more:{}", "page:{}:1"),
    *("delete:{}", "report:{}", "reported:{}:keep"),
)
"""Buttons of a story, or of a report, that there is not."""
OTHERS = (
    *("reported:{}:next", "trail:{}:any:{}", "asked:{}:{}", "opening:accept:{}"),
    *("begin:house:{}", "begin:own:{}"),
)
"""What else has a number in its custom id."""


async def send(w: World, *items: ui.Item[ui.View]) -> discord.Message:
    """A message of ours with what somebody made up."""
    channel = w.client.get_channel(w.channel.id)
    assert isinstance(channel, discord.TextChannel)
    view = ui.View(timeout=None)
    for item in items:
        view.add_item(item)
    return await channel.send("menu", view=view)


def answer(result: simcord.InteractionResult) -> str:
    """What was said, in a new message or in the one that was pressed."""
    said = (result.followups or [reply(result)])[-1]
    return said.content or str(said.embeds[0].description)


async def test_a_number_too_large_for_every_table_is_of_nothing_that_there_is(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        pressed = [f"kataribe:{name}".format(TOO_LARGE) for name in PRESSED]
        story = await send(w, *(ui.Button(label="x", custom_id=name) for name in pressed))
        for name in pressed:
            said = answer(await w.mod.click(story, custom_id=name))
            assert said == "I no longer have that story.", name
        for name in (f"kataribe:{other}".format(TOO_LARGE, TOO_LARGE) for other in OTHERS):
            message = await send(w, ui.Button(label="x", custom_id=name))
            assert UNEXPECTED not in answer(await w.mod.click(message, custom_id=name)), name
        # In what is chosen, too.
        for custom_id in ("kataribe:open", f"kataribe:teller:{TOO_LARGE}"):
            option = discord.SelectOption(label="x", value=str(TOO_LARGE))
            menu: ui.Select[ui.View] = ui.Select(custom_id=custom_id, options=[option])
            result = await w.ben.select(await send(w, menu), [option.value], custom_id=custom_id)
            assert whisper(result) == "I no longer have that story."


async def test_a_setting_that_is_none_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for what, value in (
            *(("log_channel", "noon"), ("daily_hour", "noon"), ("role_quota", "noon")),
            *(("moods", "calm, quota = 5"), ("language", "Latin")),
        ):
            custom_id = f"kataribe:settings:{what}"
            option = discord.SelectOption(label="x", value=value)
            message = await send(w, ui.Select(custom_id=custom_id, options=[option]))
            result = await w.mod.select(message, [value], custom_id=custom_id)
            assert whisper(result).startswith("That cannot be chosen."), what
        message = await send(w, ui.Button(label="x", custom_id="kataribe:settings:page:x"))
        result = await w.mod.click(message, label="x")
        assert whisper(result).startswith("That cannot be chosen.")


async def test_an_option_that_was_not_offered_is_refused_and_changes_nothing(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        commands: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
            ("mute", {"member": w.aki, "time": "day"}, {"time": "forever"}),
            ("audit", {"act": "remove"}, {"act": "nothing"}),
            ("story", {"prompt": "In the year", "length": "long"}, {"length": "endless"}),
            ("story", {"prompt": "In the year", "seed": 1}, {"seed": TOO_LARGE}),
            ("stories top", {"span": "week"}, {"span": "century"}),
            ("stories show", {"number": 1}, {"number": TOO_LARGE}),
            ("stories search", {"words": "moon"}, {"words": "moon " * 100}),
            ("story", {"prompt": "In the year"}, {"prompt": 5}),
            ("story", {"prompt": "In the year", "seed": 1}, {"seed": "one"}),
            ("story", {"prompt": "In the year", "private": True}, {"private": "yes"}),
            ("mute", {"member": w.aki, "time": "day"}, {"member": "12345"}),
        ]
        for name, given, instead in commands:
            with made_up(w, **instead):
                result = await w.mod.slash(w.channel, name, **given)
            assert w.refused(result, NoSuchChoiceError) == NO_CHOICE, name
        with made_up(w, opening="In the\0 year \ud800"):
            result = await w.mod.slash(w.channel, "openings remove", opening="In the year")
        w.refused(result, OpeningGoneError)
        async with w.sessions() as session:
            for table in (Audit, Opening):
                assert await session.get(table, 1) is None


async def test_what_no_client_writes_is_kept_as_far_as_it_can_be_or_refused(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        given: dict[str, Any]
        for name, given in (("mute", {"member": w.aki, "time": "day"}), ("model use", {})):
            with made_up(w, reason="be\0cau\ud800se\u202e\n "):
                await w.mod.slash(w.channel, name, **given, reason="because")
        async with w.sessions() as session:
            assert set(await session.scalars(select(Audit.reason))) == {"be cause"}
        # A name is nobody's, though the one who could say so is away.
        w.completions.url = "http://127.0.0.1:9"
        w.client.services = replace(w.services, catalogue=Catalogue(w.completions))
        with made_up(w, model="a\ud800\0"):
            result = await w.ben.slash(w.channel, "story", prompt="In the year", model="a")
        w.refused(result, UnknownModelError)


async def test_a_command_that_is_no_more_is_said_so(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        # Discord still shows it to whoever has not started it anew.
        w.client.tree.remove_command("about")
        result = await w.aki.slash(w.channel, "about")
        assert w.refused(result, CommandNotFound).startswith("I know that command in another")
