"""Who tells, and who may decide it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import simcord
from sqlalchemy import select

from bot.apologies import NotModeratorError
from bot.catalogue import UnknownModelError
from bot.database.tables import Audit
from tests.bot.world import footer, page, reply, world

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_moderator_chooses_who_tells_in_the_server(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        result = await w.mod.slash(w.channel, "model use", model="lstm-starter")
        assert not result.ephemeral
        assert reply(result).content == "From now on **lstm-starter** tells the stories here."
        assert footer(await w.story(by=w.aki)).startswith("lstm-starter")
        async with w.sessions() as session:
            act = (await session.scalars(select(Audit))).one()
        assert (act.moderator_id, act.detail) == (w.mod.id, "lstm-starter")
        # A private conversation is no part of the server.
        told = await w.aki.user.slash("models")
        assert "gpt2-starter · tells here" in page(reply(told))


async def test_members_do_not_see_the_command(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        with pytest.raises(simcord.SetupError, match="default-member-permissions"):
            await w.aki.slash(w.channel, "model use", model="lstm-starter")


async def test_a_member_let_in_by_the_servers_settings_is_still_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        guild = w.env.guild
        command = next(c for c in await w.client.tree.fetch_commands() if c.name == "model")
        guild.set_command_permissions(command, {w.aki: True})
        result = await w.aki.slash(w.channel, "model use", model="lstm-starter")
        assert w.refused(result, NotModeratorError) == (
            "Choosing who tells here needs the Manage Server permission."
        )
        assert await w.services.guilds.model(guild.id) is None


async def test_an_unknown_model_is_not_kept(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        result = await w.mod.slash(w.channel, "model use", model="<@1> " + "x" * 200)
        sentence = w.refused(result, UnknownModelError)
        assert sentence.startswith("Nobody here is called “")
        assert len(sentence) < 200
        assert await w.services.guilds.model(w.env.guild.id) is None


async def test_everybody_can_see_who_tells(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        result = await w.aki.slash(w.channel, "models")
        assert result.ephemeral
        assert page(reply(result)) == ("**Storytellers**\ngpt2-starter · tells here\nlstm-starter")


async def test_models_are_suggested_as_they_are_typed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.models = (*(f"model-{number}" for number in range(40)), "x" * 101)
        choices = await w.mod.autocomplete(w.channel, "model use", "model", "")
        assert len(choices) == 25
        choices = await w.mod.autocomplete(w.channel, "model use", "model", "-39")
        assert [choice["name"] for choice in choices] == ["model-39"]
