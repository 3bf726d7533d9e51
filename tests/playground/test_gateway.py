"""The gateway: who is let in, what is told to whom, and how a lost bot comes back."""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
import pytest

from bot.playground import Playground
from bot.playground.gateway import AWAY
from bot.playground.visitor import visit
from bot.playground.world import GUILD_ID, Channel
from tests.playground.echo_bot import EchoBot, connected, soon

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GUILDS_AND_MESSAGES = 1 << 0 | 1 << 9


class Wire:
    """A gateway client without a library."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._inflate = zlib.decompressobj()

    async def send(self, op: int, data: Any) -> None:
        await self.socket.send_json({"op": op, "d": data})

    async def receive(self) -> dict[str, Any]:
        message = await self.socket.receive(timeout=10)
        data = message.data
        if message.type is aiohttp.WSMsgType.BINARY:
            assert data.endswith(b"\x00\x00\xff\xff")
            data = self._inflate.decompress(data)
        return dict(json.loads(data))

    async def until(self, name: str) -> dict[str, Any]:
        while (event := await self.receive())["t"] != name:
            pass
        return event

    async def closed(self) -> int | None:
        ended = {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
        while (await self.socket.receive(timeout=10)).type not in ended:
            pass
        return self.socket.close_code

    async def identify(self, token: str, **more: Any) -> dict[str, Any]:
        known = {"token": token, "properties": {}, "intents": GUILDS_AND_MESSAGES}
        await self.send(2, known | more)
        ready = await self.until("READY")
        await self.until("GUILD_CREATE")
        return dict(ready["d"])


@asynccontextmanager
async def wired(playground: Playground, query: str = "?v=10&encoding=json") -> AsyncIterator[Wire]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(playground.gateway_url + query) as socket,
    ):
        yield Wire(socket)


async def test_a_bot_logs_in_and_finds_the_guild(playground: Playground, echo_bot: EchoBot) -> None:
    (guild,) = echo_bot.guilds
    assert echo_bot.user is not None
    assert echo_bot.user.name == "Kataribe"
    assert [channel.name for channel in guild.text_channels] == ["stories", "lounge"]
    assert guild.me.guild_permissions.send_messages
    assert list(guild.members) == [guild.me], "the others come only with a privileged intent"
    assert playground.gateway.activity == "Echoing"


async def test_a_wrong_token_is_refused(playground: Playground) -> None:
    playground.token = "not the one"
    with pytest.raises(discord.LoginFailure):
        async with connected(playground):
            pass


@pytest.mark.parametrize(
    ("op", "data", "code"),
    [
        (2, {"token": "wrong", "properties": {}, "intents": 1}, 4004),
        (2, {"token": "{token}", "properties": {}, "intents": 1 << 40}, 4013),
        (2, {"token": "{token}", "properties": {}, "intents": 1 << 15}, 4014),
        (2, {"token": "{token}", "properties": {}, "intents": 1, "shard": [3, 2]}, 4010),
        (3, {"status": "online"}, 4003),
        (99, None, 4001),
        (2, "not an object", 4002),
    ],
)
async def test_what_is_wrong_ends_the_connection_with_discords_code(
    playground: Playground, op: int, data: Any, code: int
) -> None:
    if isinstance(data, dict) and data.get("token") == "{token}":
        data = data | {"token": playground.token}
    async with wired(playground) as wire:
        await wire.send(op, data)
        assert await wire.closed() == code


async def test_a_silent_client_is_timed_out() -> None:
    async with Playground(port=0, heartbeat_interval=0.02) as playground, wired(playground) as wire:
        assert (await wire.receive())["d"]["heartbeat_interval"] == 20
        assert await wire.closed() == 4009


@pytest.mark.parametrize("query", ["?v=10&encoding=json", "?v=10&compress=zlib-stream"])
async def test_heartbeats_are_answered(playground: Playground, query: str) -> None:
    async with wired(playground, query) as wire:
        assert (await wire.receive())["op"] == 10
        sent = time.monotonic()
        await wire.send(1, None)
        assert (await wire.receive())["op"] == 11
        # Never at once, however fast the machine: see AWAY.
        assert time.monotonic() - sent > AWAY / 2


def _cut(bot: EchoBot) -> None:
    """End the bot's socket without a word, as a bad network does."""
    connection = bot.ws.socket._response.connection
    assert connection is not None
    assert isinstance(connection.transport, asyncio.Transport)
    connection.transport.abort()


async def test_a_bot_that_lost_its_socket_resumes_and_misses_nothing(
    playground: Playground, echo_bot: EchoBot
) -> None:
    async with visit(playground.url) as haru:
        _cut(echo_bot)
        await haru.show("bot", lambda shown: not shown["online"])
        await haru.say("while you were away")
        await soon(echo_bot.has_resumed.wait())
        heard = await soon(echo_bot.heard.get())
        assert heard.author.display_name == "Haru"
        await haru.command("echo", {"text": "still here"})
        told = await haru.message("edited")
    assert told["embeds"][0]["description"] == "still here"
    assert [event["t"] for event in playground.gateway.events].count("READY") == 1


async def test_an_unknown_session_must_identify_again(playground: Playground) -> None:
    async with wired(playground) as wire:
        await wire.receive()
        known = {"token": playground.token, "session_id": "from before a restart", "seq": 5}
        await wire.send(6, known)
        assert await wire.receive() == {"op": 9, "t": None, "s": None, "d": False}
        await wire.identify(playground.token)


async def test_a_session_that_said_goodbye_is_over(playground: Playground) -> None:
    async with wired(playground) as wire:
        ready = await wire.identify(playground.token)
    async with wired(playground) as wire:
        await wire.receive()
        known = {"token": playground.token, "session_id": ready["session_id"], "seq": 2}
        await wire.send(6, known)
        assert (await wire.receive())["op"] == 9


async def test_only_the_guilds_shard_hears_of_it(playground: Playground) -> None:
    here = next(iter(playground.world.channels.values()))
    there = Channel(here.id + 1, "elsewhere", "", 0, guild_id=GUILD_ID + (1 << 22))
    playground.world.channels[there.id] = there
    by_shard = {(guild_id >> 22) % 2: guild_id for guild_id in (here.guild_id, there.guild_id)}
    async with wired(playground) as first, wired(playground) as second:
        for number, wire in enumerate((first, second)):
            ready = await wire.identify(playground.token, shard=[number, 2])
            assert [guild["id"] for guild in ready["guilds"]] == [str(by_shard[number])]
        for guild_id in by_shard.values():
            playground.gateway.dispatch("GUILD_UPDATE", {"guild_id": str(guild_id)})
        playground.gateway.dispatch("MESSAGE_CREATE", {"content": "in private"})
        heard = [(await wire.receive())["d"] for wire in (first, second)]
        assert heard == [{"guild_id": str(by_shard[0])}, {"guild_id": str(by_shard[1])}]
        assert (await first.receive())["d"] == {"content": "in private"}


async def test_without_the_intent_a_members_words_stay_theirs(
    playground: Playground, echo_bot: EchoBot
) -> None:
    async with visit(playground.url) as haru:
        await haru.say("not for machines")
        assert (await soon(echo_bot.heard.get())).content == ""
        assert echo_bot.user is not None
        await haru.say(f"<@{echo_bot.user.id}> for you")
        assert (await soon(echo_bot.heard.get())).content.endswith("for you")


async def test_privileged_intents_are_refused(playground: Playground) -> None:
    with pytest.raises(discord.PrivilegedIntentsRequired):
        async with connected(playground, EchoBot(intents=discord.Intents.all())):
            pass


async def test_a_client_that_reads_too_slowly_is_sent_away(
    playground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.playground.sessions._UNREAD", 10)
    async with wired(playground) as wire:
        await wire.identify(playground.token)
        for _ in range(20):
            playground.gateway.dispatch("TYPING_START", {})
        assert await wire.closed() == aiohttp.WSCloseCode.TRY_AGAIN_LATER
