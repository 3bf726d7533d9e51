"""What goes over the wire is what Discord describes, see `discord.json`."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import discord
import pytest

from bot.playground.exchanges import Exchange
from bot.playground.visitor import visit
from tests.playground.discord_description import faults_of_events, faults_of_exchange
from tests.playground.echo_bot import soon
from tests.playground.test_rest import MESSAGES, as_bot

if TYPE_CHECKING:
    from bot.playground import Playground
    from bot.playground.errors import Json
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
    await bot.fetch_channel(channel.id)
    await bot.application_info()
    await bot.tree.fetch_commands()
    await bot.http.get_bot_gateway()
    with pytest.raises(discord.NotFound):
        await channel.fetch_message(1)
    with pytest.raises(discord.HTTPException):
        await channel.send("x" * 2001)


async def test_every_request_and_answer_is_as_discord_describes_it(
    playground: Playground, echo_bot: EchoBot
) -> None:
    await _live_a_day(playground, echo_bot)
    routes = {(one.method, one.route) for one in playground.rest.exchanges}
    assert len(routes) > 15
    assert {one.status for one in playground.rest.exchanges} >= {200, 204, 400, 404, 429}
    assert [fault for one in playground.rest.exchanges for fault in faults_of_exchange(one)] == []


async def test_every_event_is_as_discord_describes_it(
    playground: Playground, echo_bot: EchoBot
) -> None:
    await _live_a_day(playground, echo_bot)
    told = {event["t"] for event in playground.gateway.events}
    assert told >= {"READY", "GUILD_CREATE", "INTERACTION_CREATE", "MESSAGE_CREATE"}
    assert list(faults_of_events(playground.gateway.events)) == []


MESSAGE = "/channels/{channel_id}/messages"
CALLBACK = "/interactions/{interaction_id}/{interaction_token}/callback"
COMMANDS = "/applications/{application_id}/commands"


def _button(**fields: Any) -> Json:
    return {"type": 2, "style": 1, "label": "Press", "custom_id": "press"} | fields


def _row(*components: Json) -> Json:
    return {"components": [{"type": 1, "components": list(components)}]}


def _choices(count: int) -> Json:
    return {"type": 8, "data": {"choices": [{"name": str(n), "value": "v"} for n in range(count)]}}


@pytest.mark.parametrize(
    ("method", "route", "right", "wrong"),
    [
        ("POST", MESSAGE, {"content": "x" * 2000}, {"content": "x" * 2001}),
        ("POST", MESSAGE, {"nonce": "x" * 25}, {"nonce": "x" * 26}),
        ("POST", MESSAGE, {"enforce_nonce": True}, {"enforce_nounce": True}),
        (
            "PATCH",
            f"{MESSAGE}/{{message_id}}",
            {"embeds": [{"description": "x" * 4096}]},
            {"embeds": [{"description": "x" * 4097}]},
        ),
        ("POST", MESSAGE, {"embeds": [{}] * 10}, {"embeds": [{}] * 11}),
        ("POST", MESSAGE, _row(_button(custom_id="x" * 100)), _row(_button(custom_id="x" * 101))),
        ("POST", MESSAGE, _row(*[_button()] * 5), _row(*[_button()] * 6)),
        ("POST", MESSAGE, _row(_button(label="x" * 80)), _row(_button(label="x" * 81))),
        ("POST", CALLBACK, _choices(25), _choices(26)),
        ("POST", CALLBACK, {"type": 5, "data": {"flags": 64}}, {"type": 3}),
        ("PUT", COMMANDS, [{"name": "x" * 32}], [{"name": "x" * 33}]),
        ("PUT", COMMANDS, [{"name": "x", "description": "x" * 100}], [{"description": "x" * 101}]),
        ("DELETE", f"{MESSAGE}/{{message_id}}", None, {}),
    ],
)
def test_the_description_knows_a_limit(method: str, route: str, right: Any, wrong: Any) -> None:
    assert list(faults_of_exchange(Exchange(method, route, right, 204, None))) == []
    assert list(faults_of_exchange(Exchange(method, route, wrong, 204, None))) != []


@pytest.mark.parametrize(
    "exchange",
    [
        Exchange("GET", "/nowhere", None, 200, {}),
        Exchange("GET", "/users/@me", None, 200, {"id": 1}),
        Exchange("POST", MESSAGE, None, 400, {"message": "no code"}),
        Exchange("POST", MESSAGE, None, 429, {"message": "slowly", "code": 0}),
    ],
)
def test_a_wrong_exchange_would_be_found(exchange: Exchange) -> None:
    assert list(faults_of_exchange(exchange)) != []


def test_a_wrong_event_would_be_found() -> None:
    ready = {"op": 0, "t": "READY", "s": 1, "d": {"v": 10}}
    assert len(list(faults_of_events([ready, ready | {"t": "NOVELTY"}]))) > 1
