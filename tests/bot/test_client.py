"""The client: what it asks of Discord, and what it tells it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import discord
import yarl
from discord.gateway import DiscordWebSocket

from bot.client import point_at
from bot.locales import say
from tests.bot.world import page, reply, whisper, world

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_nothing_privileged_is_asked_for(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        assert w.client.intents == discord.Intents(guilds=True)
        assert w.client.allowed_mentions is not None
        assert w.client.allowed_mentions.to_dict() == discord.AllowedMentions.none().to_dict()


async def test_help_is_for_who_asked(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        result = await w.aki.slash(w.channel, "help")
        assert result.ephemeral
        assert "story" in page(reply(result))


async def test_an_error_in_a_command_is_apologised_for_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(tmp_path) as w:
        w.client.services = replace(w.services, catalogue=None)  # type: ignore[arg-type]  # unforeseen
        result = await w.aki.slash(w.channel, "model list")
        said = whisper(result)
        (reference,) = re.findall(r"\b[0-9a-f]{8}\b", said)
        assert said == say("sorry.unexpected", reference=reference)
        assert f"({reference}) of member {w.aki.id} failed" in caplog.text
        assert "AttributeError" in caplog.text
        assert [type(error.__cause__) for error in w.env.errors] == [AttributeError]


def test_another_discord_can_be_named() -> None:
    base, gateway = discord.http.Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    try:
        point_at("http://127.0.0.1:1234/api/v10", "")
        assert discord.http.Route("GET", "/gateway").url == "http://127.0.0.1:1234/api/v10/gateway"
        assert gateway == DiscordWebSocket.DEFAULT_GATEWAY
        point_at("http://127.0.0.1:1234/api/v10", "ws://127.0.0.1:1234/gw/")
        assert yarl.URL("ws://127.0.0.1:1234/gw/") == DiscordWebSocket.DEFAULT_GATEWAY
    finally:
        discord.http.Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


async def test_what_discord_says_again_is_answered_once(tmp_path: Path) -> None:
    async with world(tmp_path, queue={"per_member": 1}) as w:
        emit = w.env.backend.emit

        def twice(event: str, *given: Any, **named: Any) -> None:
            for _ in range(2 if event == "INTERACTION_CREATE" else 1):
                emit(event, *given, **named)

        w.env.backend.emit = twice  # type: ignore[method-assign]  # as after a gap in the gateway
        message = await w.story(prompt="In the year")
        await w.ben.click(message, label="5 ★")
        await w.ben.click(message, label="My turn")
        answers = [one for one in w.env.http_requests if one.path.endswith("/callback")]
        assert len(answers) == 3
        assert not w.env.errors
