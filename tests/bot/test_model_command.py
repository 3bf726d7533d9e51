"""Who tells, and who may decide it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import simcord
from sqlalchemy import select

from bot.apologies import NotModeratorError
from bot.database.tables import Audit
from bot.locales import say, speaking
from bot.worker.catalogue import Catalogue, UnknownModelError
from tests.bot.world import footer, page, reply, thread_in, whisper, world

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
        # What stands in the channel is in the server's language, whoever decided it.
        await w.services.guilds.change(w.env.guild.id, w.mod.id, language="ja")
        said = reply(await w.mod.slash(w.channel, "model use", model="lstm-starter")).content
        with speaking("ja"):
            assert said == say("model.used", model="lstm-starter")
        # A private conversation is no part of the server.
        told = await w.aki.user.slash("model list")
        assert "gpt2-starter · tells here" in page(reply(told))


async def test_only_a_moderator_chooses(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        result = await w.aki.slash(w.channel, "model use", model="lstm-starter")
        assert w.refused(result, NotModeratorError) == (
            "That is for moderators: it needs the Manage Server permission."
        )
        assert await w.services.guilds.model(w.env.guild.id) is None


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
        result = await w.aki.slash(w.channel, "model list")
        assert page(reply(result)) == (
            "**Storytellers**\ngpt2-starter · tells here\nlstm-starter\n"
            "-# **mine**, chosen for here, is gone. A moderator can choose again: "
            f"</model use:{w.client.command_ids['model']}>"
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
        result = await w.aki.slash(w.channel, "model list")
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
        listed = page(reply(await w.aki.slash(w.channel, "model list")))
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


async def test_a_thread_inherits_from_its_channel_then_from_the_server(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.models = ("gpt2-starter", "lstm-starter", "third")
        guild_id, thread = w.env.guild.id, await thread_in(w)
        other = w.env.guild.create_text_channel("other")

        async def tellers() -> list[str]:
            of = w.services.teller
            places = ((thread.id, w.channel.id), (w.channel.id, None), (other.id, None))
            return [await of(guild_id, *place) for place in places]

        await w.mod.slash(w.channel, "model use", model="lstm-starter")
        assert await tellers() == ["lstm-starter"] * 3
        await w.mod.slash(w.channel, "model use", model="gpt2-starter", channel=w.channel)
        assert await tellers() == ["gpt2-starter", "gpt2-starter", "lstm-starter"]
        await w.mod.slash(w.channel, "model use", model="third", channel=thread)
        assert await tellers() == ["third", "gpt2-starter", "lstm-starter"]
        # In a thread /story asks who tells there.
        result = await w.aki.slash(thread, "story", prompt="In the year")
        await w.idle()
        assert footer(reply(result)).startswith("third")
        result = await w.mod.slash(w.channel, "model use", channel=thread)
        assert "it is **gpt2-starter** there" in whisper(result)
        await w.stop()
        await w.restart()
        assert await tellers() == ["gpt2-starter", "gpt2-starter", "lstm-starter"]
        async with w.sessions() as session:
            acts = list(await session.scalars(select(Audit).order_by(Audit.id)))
        assert [(act.channel_id, act.detail) for act in acts] == [
            (None, "lstm-starter"),
            (w.channel.id, "gpt2-starter"),
            (thread.id, "third"),
            (thread.id, "default"),
        ]


async def test_a_choice_is_said_where_it_holds_with_its_reason(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        other = w.env.guild.create_text_channel("other")
        model = "lstm-starter"
        result = await w.mod.slash(
            w.channel, "model use", model=model, channel=other, reason="*a* trial"
        )
        said = f"From now on **{model}** tells the stories in {other.mention}.\n"
        said += r"Reason: \*a\* trial"
        assert whisper(result) == f"{said}\n-# It was said there as well."
        assert other.history()[-1].content == said
        async with w.sessions() as session:
            act = (await session.scalars(select(Audit))).one()
        assert act.reason == "*a* trial"
        # Where the server does not want it said, only the moderator hears.
        await w.services.guilds.change(w.env.guild.id, w.mod.id, announce_model=False)
        whisper(await w.mod.slash(w.channel, "model use", model=model))
        assert len(other.history()) == 1


async def test_a_choice_that_cannot_be_said_stands_all_the_same(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        other = w.env.guild.create_text_channel("other")
        w.env.inject_error("POST", "/channels/*/messages", status=403, code=50013)
        result = await w.mod.slash(w.channel, "model use", model="lstm-starter", channel=other)
        assert whisper(result).endswith("I may not write there, so nobody was told.")
        assert await w.services.teller(w.env.guild.id, other.id) == "lstm-starter"


async def test_what_is_known_of_a_model_is_said_and_nothing_else(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.cards = {"gpt2-starter": {"loaded": True, "max_model_len": 512}}
        await w.mod.slash(w.channel, "model use", model="gpt2-starter", channel=w.channel)
        w.client.services = replace(w.services, catalogue=Catalogue(w.completions))
        known = reply(await w.aki.slash(w.channel, "model info"))
        assert known.ephemeral
        assert page(known) == (
            "In memory: it begins at once.\n"
            "Reads 512 tokens at most, a beginning and its story together.\n"
            f"Tells in {w.channel.mention}."
        )
        other = reply(await w.aki.slash(w.channel, "model info", model="lstm-starter"))
        assert page(other) == "Its server says no more."
        w.completions.url = None  # its process died
        away = reply(await w.aki.slash(w.channel, "model info"))
        assert page(away).startswith("The storyteller is away: a story waits until it returns.\n")
        assert "In memory" not in page(away)
