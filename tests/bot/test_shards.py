"""Several bots of one token: each is connected for its own shards, and minds no other's servers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import discord
import pytest

from bot.client import Kataribe, point_at
from bot.config import Discord, Settings
from bot.invitation import greeting
from bot.messages.pacing import Pace
from bot.playground import Playground
from bot.playground.world import GUILD_ID, Channel
from bot.services import Services
from bot.worker.completions import Completions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.database import Database

BESIDE = GUILD_ID + (1 << 22)
"""A server of the other of two shards."""


async def at_once(*_: Any, **__: Any) -> None:
    """Discord wants five seconds before a second login; the playground does not."""


@pytest.fixture
async def playground(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Playground]:
    monkeypatch.setattr(discord.http.Route, "BASE", "")
    monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", None)
    monkeypatch.setattr(Kataribe, "before_identify_hook", at_once)
    async with Playground(port=0) as opened:
        here = next(iter(opened.world.channels.values()))
        opened.world.channels[here.id + 1] = Channel(here.id + 1, "beside", "", 0, guild_id=BESIDE)
        yield opened


@asynccontextmanager
async def connected(
    playground: Playground, database: Database, shards: str, gateway_url: str
) -> AsyncIterator[Kataribe]:
    """A client that knows its servers."""
    point_at(playground.api_url, gateway_url)
    settings = Settings().model_copy(
        update={"discord": Discord.model_validate({"shards": shards, "gateway_url": gateway_url})}
    )
    pace = Pace()
    client = Kataribe(settings.discord, pace)
    async with Completions(None, settings.stories, request_timeout=1) as completions:
        client.services = Services.of(settings, database, completions, client, pace)
        await client.login(playground.token)
        running = asyncio.create_task(client.connect())
        ready = asyncio.create_task(client.wait_until_ready())
        try:
            async with asyncio.timeout(30):
                await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
            assert not running.done(), running.exception()
            yield client
        finally:
            ready.cancel()
            await client.close()
            # What it still notes of its servers is noted before the database is closed.
            noting = [one for one in asyncio.all_tasks() if one.get_name().startswith("discord.py")]
            await asyncio.wait([running, *noting])


async def test_each_of_two_bots_has_its_shards_servers_and_leaves_the_others_alone(
    playground: Playground, database: Database
) -> None:
    for shards in ("0/2", "1/2"):
        async with connected(playground, database, shards, playground.gateway_url) as client:
            (number,) = client.shards
            assert str(number) == shards[0]
            (guild,) = client.guilds
            assert (guild.id >> 22) % 2 == number
            known = client.services.departures.known
            async with asyncio.timeout(30):
                while guild.id not in await known():  # noqa: ASYNC110  # discord.py's task notes it
                    await asyncio.sleep(0)
    assert await known() == {GUILD_ID, BESIDE}


async def test_who_has_no_server_of_its_shards_is_told_to_invite_only_where_nobody_has_one(
    playground: Playground, database: Database
) -> None:
    other = next(str(n) for n in range(8) if n not in {(GUILD_ID >> 22) % 8, (BESIDE >> 22) % 8})
    async with connected(playground, database, f"{other}/8", playground.gateway_url) as client:
        assert not client.guilds
        assert await greeting(client) == (
            f"Kataribe is on Discord as {client.user}, with shards {other}/8."
        )
        playground.world.channels.clear()
        _, link = (await greeting(client)).splitlines()
        assert link.startswith("Invite it to a server: https://discord.com/oauth2/authorize?")


async def test_a_bot_that_has_all_opens_as_many_shards_as_discord_advises(
    playground: Playground, database: Database
) -> None:
    playground.gateway.shards = 2
    async with connected(playground, database, "all", "") as client:
        assert sorted(client.shards) == [0, 1]
        assert {guild.id for guild in client.guilds} == {GUILD_ID, BESIDE}
