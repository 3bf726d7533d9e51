"""The client: what it asks of Discord, and what it tells it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

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
        assert whisper(result) == say("sorry.unexpected")
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
