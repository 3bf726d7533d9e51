"""What goes over the wire is what Discord describes; needs its files, see `discord_description`."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import discord
import pytest

from bot.playground.exchanges import Exchange
from bot.playground.visitor import visit
from tests.playground.discord_description import (
    GATEWAY,
    OPENAPI,
    GatewayDescription,
    RestDescription,
    described_in,
)
from tests.playground.echo_bot import soon
from tests.playground.test_rest import MESSAGES, as_bot

if TYPE_CHECKING:
    from bot.playground import Playground
    from tests.playground.echo_bot import EchoBot


async def _live_a_day(playground: Playground, bot: EchoBot) -> None:
    """Everything that the playground can do, once."""
    said = await _members_act(playground, bot)
    await _the_bot_acts(bot, said)
    async with as_bot(playground) as client:
        for _ in range(10):
            await client("POST", MESSAGES, json={"content": "too many"})


async def _members_act(playground: Playground, bot: EchoBot) -> int:
    """Every kind of interaction and answer; gives the id of a member's message."""
    async with visit(playground.url, "aoi") as aoi:
        await aoi.command("echo", {"text": "hello", "times": "2"})
        told = await aoi.message("edited")
        for button in ("again", "whisper"):
            await aoi.press(told["id"], button)
        await aoi.press(told["id"], "pick", "gpt2-starter")
        opened = await aoi.press(told["id"], "report")
        row, label = opened["modal"]["components"]
        values = {
            row["components"][0]["custom_id"]: "because",
            label["component"]["custom_id"]: ["Broken"],
        }
        await aoi.ask(do="submit", modal=opened["opened"], values=values)
        model = aoi.commands["model"]["id"]
        suggest = {"do": "suggest", "command": model, "path": ["use"], "focus": "name"}
        await aoi.ask(**suggest, values={"name": "g"})
        await aoi.command("model", {"name": "gpt2-starter", "where": "lounge"}, "use")
        await aoi.ask(do="command", command=aoi.commands["Quote"]["id"], message=told["id"])
        await aoi.ask(do="command", command=aoi.commands["Greet"]["id"], member=aoi.room["me"])
        await aoi.say("a word")
        said = await aoi.message("created", lambda message: message["content"] == "a word")

        while not bot.seen.empty():
            bot.seen.get_nowait()
        await aoi.begin(do="command", command=aoi.commands["slow"]["id"])
        interaction = await soon(bot.seen.get())
        await interaction.response.defer(thinking=True)
        await interaction.followup.send("thought", wait=True)
        more = await interaction.followup.send("and more", wait=True)
        await more.edit(content="and less")
        await more.delete()
        await interaction.edit_original_response(attachments=[discord.File(io.BytesIO(b"x"), "x")])
        await interaction.delete_original_response()
    return int(said["id"])


async def _the_bot_acts(bot: EchoBot, said: int) -> None:
    """What a bot does on its own."""
    (guild,) = bot.guilds
    channel = guild.text_channels[0]
    message = await channel.send("posted", reference=channel.get_partial_message(said))
    await message.edit(content="edited", embed=discord.Embed(title="t", url="https://a.example"))
    await channel.fetch_message(message.id)
    assert [found async for found in channel.history()]
    await message.delete()
    await guild.fetch_member(guild.me.id)
    await bot.fetch_guild(guild.id)
    await guild.fetch_channels()
    await guild.fetch_roles()
    await bot.fetch_channel(channel.id)
    assert bot.application_id is not None
    await bot.fetch_user(bot.application_id)
    await bot.application_info()
    await bot.tree.fetch_commands()
    assert [guild async for guild in bot.fetch_guilds()]
    await bot.http.get_bot_gateway()
    with pytest.raises(discord.NotFound):
        await channel.fetch_message(1)
    with pytest.raises(discord.HTTPException):
        await channel.send("x" * 2001)


async def test_every_request_and_answer_is_as_discord_describes_it(
    playground: Playground, echo_bot: EchoBot
) -> None:
    description = RestDescription(described_in(OPENAPI))
    await _live_a_day(playground, echo_bot)
    routes = {(one.method, one.route) for one in playground.rest.exchanges}
    assert len(routes) > 20
    assert {one.status for one in playground.rest.exchanges} >= {200, 204, 400, 404, 429}
    faults = [fault for one in playground.rest.exchanges for fault in description.faults(one)]
    assert faults == []


async def test_every_event_is_as_discord_describes_it(
    playground: Playground, echo_bot: EchoBot
) -> None:
    description = GatewayDescription(described_in(GATEWAY))
    await _live_a_day(playground, echo_bot)
    told = {event["t"] for event in playground.gateway.events}
    assert told >= {"READY", "GUILD_CREATE", "INTERACTION_CREATE", "MESSAGE_CREATE"}
    assert list(description.faults(playground.gateway.events)) == []


def test_a_wrong_exchange_would_be_found() -> None:
    description = RestDescription(described_in(OPENAPI))
    route = "/channels/{channel_id}/messages"
    long = Exchange("POST", route, {"content": "x" * 4001}, 200, {"id": "1"})
    assert len(list(description.faults(long))) > 2
    assert list(description.faults(Exchange("GET", "/nowhere", None, 200, {})))
