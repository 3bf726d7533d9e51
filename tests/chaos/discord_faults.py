"""The faults of Discord's: its gateway, its REST API, and what is taken away there."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.chaos import weather
from tests.chaos.weather import Trouble

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Callable

    from aiohttp import web

    from tests.chaos.stage import Fault, Stage

RESUMABLE = (4000, 4001, 4002, 4005, 4008)
NOT_RESUMABLE = (1000, 4003, 4007, 4009)
"""Discord's codes of closing; those that say that the bot itself is wrong are not among them."""
MOSTLY = 0.7
SERVERS_LEFT = 0.8
"""The part of the servers that is not deleted."""


# The gateway


async def _closed(stage: Stage, rng: random.Random, _: float) -> None:
    await stage.discord.gateway.hang_up(rng.choice(RESUMABLE))


async def _closed_for_good(stage: Stage, rng: random.Random, _: float) -> None:
    stage.discord.gateway.forget()
    await stage.discord.gateway.hang_up(rng.choice(NOT_RESUMABLE))


async def _cut(stage: Stage, _: random.Random, __: float) -> None:
    stage.discord.gateway.cut()


async def _reconnect(stage: Stage, _: random.Random, __: float) -> None:
    stage.discord.gateway.ask_to_reconnect()


async def _invalid(stage: Stage, rng: random.Random, _: float) -> None:
    resumable = rng.random() < 0.5
    if not resumable:
        stage.discord.gateway.forget()
    stage.discord.gateway.invalidate(resumable=resumable)


def _switched(name: str) -> Fault:
    async def fault(stage: Stage, rng: random.Random, lasts: float) -> None:
        gateway = stage.discord.gateway
        if name == "silent":
            gateway.fall_silent()
        else:
            setattr(gateway, name, True)
        if name in {"forgetful", "closed"}:
            await gateway.hang_up(rng.choice(RESUMABLE))
        try:
            await asyncio.sleep(lasts)
        finally:
            setattr(gateway, name, False)
            if name == "silent" and rng.random() < MOSTLY:
                gateway.cut()  # the line says that it is dead; else the bot must find out

    return fault


# REST


def _weather(kind: str, share: float = 0.5) -> Fault:
    async def fault(stage: Stage, rng: random.Random, lasts: float) -> None:
        del rng
        async with _with(stage, Trouble(kind, share, _wanted(kind))):
            await asyncio.sleep(lasts)

    return fault


def _wanted(kind: str) -> Callable[[web.Request], bool]:
    """Where a refusal is one that Discord gives: that of a token to tokens, and so on."""

    def where(request: web.Request) -> bool:
        by_token = "/webhooks/" in request.path
        if kind == "401":
            return by_token
        # A connection is never refused: what is wrong with a start is another matter.
        return by_token or "/channels/" in request.path or "/interactions/" in request.path

    return where


@asynccontextmanager
async def _with(stage: Stage, trouble: Trouble) -> AsyncIterator[None]:
    stage.weather.troubles.append(trouble)
    try:
        yield
    finally:
        stage.weather.troubles.remove(trouble)


def _in_one_channel(kind: str) -> Fault:
    """What the bot may not do as itself in a channel, for a while."""

    async def fault(stage: Stage, rng: random.Random, lasts: float) -> None:
        channel = rng.choice(list(stage.discord.village.channels))
        path = f"/channels/{channel}/"
        async with _with(stage, Trouble(kind, 1.0, lambda request: path in request.path)):
            await asyncio.sleep(lasts)

    return fault


async def _tokens_expire(stage: Stage, _: random.Random, __: float) -> None:
    stage.discord.interactions._by_token.clear()


# What members and moderators take away


async def _message_deleted(stage: Stage, rng: random.Random, _: float) -> None:
    messages = stage.discord.messages
    channel = rng.choice(list(stage.discord.village.channels))
    if shown := list(messages.history(channel))[-3:]:
        message = rng.choice(shown)
        stage.history.add("destroyed", message=message.id)
        messages.delete(message)


async def _server_unavailable(stage: Stage, rng: random.Random, lasts: float) -> None:
    """An outage of Discord's, about which its gateway says which server it is."""
    village, gateway = stage.discord.village, stage.discord.gateway
    guild = rng.choice(village.guild_ids)
    village.unavailable.add(guild)
    gateway.dispatch("GUILD_DELETE", {"id": str(guild), "unavailable": True})
    try:
        async with _with(stage, Trouble("500", 1.0, _in_server(stage, guild))):
            await asyncio.sleep(lasts)
    finally:
        village.unavailable.discard(guild)
        gateway.dispatch("GUILD_CREATE", village.guild_create_payload(guild))


async def _sent_away(stage: Stage, rng: random.Random, lasts: float) -> None:
    """A server sends the bot away and then thinks better of it."""
    village, gateway = stage.discord.village, stage.discord.gateway
    guild = rng.choice(village.guild_ids)
    village.left.add(guild)
    gateway.dispatch("GUILD_DELETE", {"id": str(guild)})
    try:
        async with _with(stage, Trouble("403", 1.0, _in_server(stage, guild))):
            await asyncio.sleep(lasts)
    finally:
        village.left.discard(guild)
        invited = village.guild_create_payload(guild)
        invited.pop("unavailable", None)  # so Discord says that it is new to the bot
        gateway.dispatch("GUILD_CREATE", invited)


async def _server_deleted(stage: Stage, rng: random.Random, _: float) -> None:
    village = stage.discord.village
    if len(village.guild_ids) <= SERVERS_LEFT * len(set(village.home.values())):
        return
    guild = rng.choice(village.guild_ids)
    stage.history.add("destroyed", server=guild)
    for channel in [one for one in village.channels.values() if one.guild_id == guild]:
        stage.history.add("destroyed", channel=channel.id)
        del village.channels[channel.id]
    stage.discord.gateway.dispatch("GUILD_DELETE", {"id": str(guild)})


def _in_server(stage: Stage, guild_id: int) -> Callable[[web.Request], bool]:
    """The routes of a server's channels; those of tokens are of no server."""
    channels = stage.discord.village.channels.values()
    paths = [f"/channels/{one.id}" for one in channels if one.guild_id == guild_id]
    return lambda request: any(path in request.path for path in paths)


async def _channel_deleted(stage: Stage, rng: random.Random, _: float) -> None:
    village = stage.discord.village
    id_ = rng.choice(list(village.channels))
    of = village.channels[id_]
    if len([one for one in village.channels.values() if one.guild_id == of.guild_id]) == 1:
        return  # a server keeps one
    stage.history.add("destroyed", channel=id_)
    del village.channels[id_]
    stage.discord.gateway.dispatch("CHANNEL_DELETE", of.payload())


EVERY: dict[str, Fault] = {
    "gateway-closed": _closed,
    "gateway-closed-for-good": _closed_for_good,
    "gateway-cut": _cut,
    "gateway-reconnect": _reconnect,
    "gateway-invalid-session": _invalid,
    "gateway-silent": _switched("silent"),
    "gateway-resume-refused": _switched("forgetful"),
    "gateway-sessions-refused": _switched("closed"),
    "gateway-repeats": _switched("repeating"),
    "gateway-disordered": _switched("disordered"),
    **{f"rest-{kind}": _weather(kind) for kind in weather.REFUSALS if "400" not in kind},
    **{
        f"rest-{kind}": _weather(kind, 0.3)
        for kind in ("reset-before", "reset-after", "stall", "500-slow")
    },
    "permissions-withdrawn": _in_one_channel("403-permissions"),
    "thread-archived": _in_one_channel("400-archived"),
    "tokens-expire": _tokens_expire,
    "message-deleted": _message_deleted,
    "channel-deleted": _channel_deleted,
    "server-unavailable": _server_unavailable,
    "server-sends-away": _sent_away,
    "server-deleted": _server_deleted,
}
