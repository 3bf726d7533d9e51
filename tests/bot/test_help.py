"""/help names every command to whom it is for, and /about says what this is."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.commands.help import Audience, audience, every
from bot.worker.catalogue import Catalogue
from tests.bot.world import World, page, reply, world

if TYPE_CHECKING:
    from pathlib import Path

    import simcord


async def helped(w: World, by: simcord.MemberActor) -> str:
    result = await by.slash(w.channel, "help")
    assert result.ephemeral
    return page(reply(result))


def names(text: str) -> set[str]:
    """The commands that a text mentions so that they can be clicked."""
    return {name for name, _ in re.findall(r"</([^:>]+):(\d+)>", text)}


async def test_help_has_every_command_of_who_asks(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        commands = list(every(w.client.tree))
        slash = {c.qualified_name: audience(c) for c in commands if hasattr(c, "description")}
        assert {"story", "openings propose", "privacy"} <= slash.keys()
        members = {name for name, of in slash.items() if of is Audience.MEMBERS}
        moderators = {name for name, of in slash.items() if of is Audience.MODERATORS}
        assert {"model use", "openings review"} <= moderators
        assert names(await helped(w, w.aki)) == members
        assert names(await helped(w, w.mod)) == members | moderators
        assert "**Continue as a story** " in await helped(w, w.aki)


async def test_the_mentions_are_those_that_discord_knows(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        known = {c["name"]: c["id"] for c in w.env.backend.commands[None].values()}
        for name, number in re.findall(r"</([^:>]+):(\d+)>", await helped(w, w.mod)):
            assert number == known[name.split()[0]]
        await w.stop()
        await w.restart()  # nothing changed, so nothing is told to Discord
        assert f"</story:{known['story']}>" in await helped(w, w.aki)


async def test_without_ids_the_names_stand_there(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.client.command_ids = {}
        assert "**/openings list** · **/openings propose**\n" in await helped(w, w.aki)


async def test_commands_in_other_texts_can_be_clicked_too(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        known = {c["name"]: c["id"] for c in w.env.backend.commands[None].values()}
        shown = reply(await w.aki.slash(w.channel, "openings list"))
        assert page(shown) == f"None yet. Propose one: </openings propose:{known['openings']}>"
        result = await w.aki.slash(w.channel, "about")
        assert names(page(reply(result))) == {"privacy", "help"}


async def test_help_is_short_enough_for_a_phone(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        # What is in one group shares a line.
        assert len((await helped(w, w.aki)).splitlines()) <= 16
        assert len((await helped(w, w.mod)).splitlines()) <= 30


async def test_outside_of_servers_their_commands_are_left_out(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        shown = names(page(reply(await w.mod.user.slash("help"))))
        assert {"story", "privacy"} <= shown
        assert not any(name.startswith(("openings", "model use")) for name in shown)


async def test_help_is_in_the_members_language(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.locales[w.aki.id] = "ja"
        shown = await helped(w, w.aki)
        assert "このサーバー独自の書き出し: " in shown
        assert "story" in names(shown)


async def test_about_says_what_it_is_and_who_tells(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        text = page(reply(await w.aki.slash(w.channel, "about")))
        assert "gpt2-starter, lstm-starter" in text
        assert "English only" in text
        w.completions.url = "http://127.0.0.1:9"
        w.client.services = replace(w.services, catalogue=Catalogue(w.completions))
        text = page(reply(await w.aki.slash(w.channel, "about")))
        assert "the storyteller is away" in text
