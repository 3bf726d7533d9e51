"""Who tells, and who may decide it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import simcord
from sqlalchemy import select

from bot.apologies import NotModeratorError
from bot.database.tables import Audit
from bot.worker.catalogue import Catalogue, UnknownModelError
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
        result = await w.mod.slash(w.channel, "model use", model="<@1> " + "x" * 95)
        sentence = w.refused(result, UnknownModelError)
        assert sentence.startswith("Nobody here is called “")
        assert len(sentence) < 200
        assert await w.services.guilds.model(w.env.guild.id) is None


@pytest.mark.parametrize(
    ("command", "options"), [("story", {"prompt": "In the year"}), ("model use", {})]
)
async def test_a_name_is_no_longer_than_the_database_takes(
    tmp_path: Path, command: str, options: dict[str, str]
) -> None:
    async with world(tmp_path) as w:
        with pytest.raises(simcord.SetupError, match="100"):
            await w.mod.slash(w.channel, command, **options, model="x" * 101)


async def test_a_moderator_goes_back_to_the_hosts_choice(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.mod.slash(w.channel, "model use", model="lstm-starter")
        result = await w.mod.slash(w.channel, "model use")
        assert reply(result).content == (
            "From now on I choose who tells the stories here: it is **gpt2-starter**."
        )
        assert footer(await w.story()).startswith("gpt2-starter")
        assert await w.services.guilds.model(w.env.guild.id) is None


async def test_where_the_chosen_model_was_removed_the_hosts_choice_tells(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.services.guilds.use_model(w.env.guild.id, "mine", w.mod.id)
        assert footer(await w.story()).startswith("gpt2-starter")
        result = await w.aki.slash(w.channel, "models")
        assert page(reply(result)) == (
            "**Storytellers**\ngpt2-starter · tells here\nlstm-starter\n"
            "-# **mine**, chosen for this server, is gone. A moderator can choose again: "
            "**/model use**"
        )
        # The choice is kept: the model may come back.
        w.teller.models = (*w.teller.models, "mine")
        w.client.services = replace(w.services, catalogue=Catalogue(w.completions))
        assert footer(await w.story()).startswith("mine")


async def test_a_choice_that_nobody_can_check_stands(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.services.guilds.use_model(w.env.guild.id, "mine", w.mod.id)
        w.completions.url = "http://127.0.0.1:9"
        assert await w.services.teller(w.env.guild.id) == "mine"


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
        assert await w.mod.autocomplete(w.channel, "model use", "model", "MODEL-39 ") == choices


async def test_two_hundred_models_stay_within_discords_limits(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        odd = ("", "model-7", "y" * 300)
        many = tuple(f"model-{number}" + "_" * 90 for number in range(197))
        w.teller.models = (*odd, *many, "model-7", "gpt2-starter")
        listed = page(reply(await w.aki.slash(w.channel, "models")))
        assert 2000 < len(listed) <= 4096
        assert listed.startswith("**Storytellers**\ngpt2-starter · tells here\nmodel-7\n")
        shown = listed.count("model-")
        assert listed.endswith(f"… and {len(many) + 1 - shown} more")
        result = await w.mod.slash(w.channel, "model use", model="nosuch")
        assert len(w.refused(result, UnknownModelError)) <= 2000
        for command in ("model use", "story"):
            choices = await w.mod.autocomplete(w.channel, command, "model", "")
            names = [choice["name"] for choice in choices]
            assert len(names) == len(set(names)) == 25
            assert all(1 <= len(name) <= 100 for name in names)


@pytest.mark.parametrize("name", ["LSTM-Starter", " lstm-starter "])
async def test_a_name_is_kept_as_the_server_writes_it(tmp_path: Path, name: str) -> None:
    async with world(tmp_path) as w:
        await w.mod.slash(w.channel, "model use", model=name)
        assert await w.services.guilds.model(w.env.guild.id) == "lstm-starter"
        assert footer(await w.story()).startswith("lstm-starter")
        await w.mod.slash(w.channel, "model use")
        assert footer(await w.story(prompt="In the year", model=name)).startswith("lstm-starter")


async def test_where_nobody_has_the_hosts_choice_another_tells(tmp_path: Path) -> None:
    async with world(tmp_path, stories={"model": "nosuch"}) as w:
        assert footer(await w.story()).startswith("gpt2-starter")
        result = await w.mod.slash(w.channel, "model use")
        assert "it is **gpt2-starter**" in reply(result).content
