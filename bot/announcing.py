"""What is said in channels unasked: who tells there now, and the host's word to all servers."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import aiohttp
import discord

from bot.apologies import AnnouncedLatelyError

if TYPE_CHECKING:
    from bot.client import Kataribe

_log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds between two channels: stories go on meanwhile."""
NOT_BEFORE = 600.0
"""Seconds between two announcements."""
MOST = 600
"""Channels: so many are reached while Discord lets the host be answered."""


async def story_channels(client: Kataribe) -> list[tuple[int, int]]:
    """Give what is reached: (server, channel) for each story channel of servers that we are in.

    Of those that another process hears of it is the database that says so.
    """
    chosen = await client.services.guilds.story_channels()
    places = [
        (guild_id, channel_id)
        for guild_id, channels in chosen.items()
        if client.get_guild(guild_id) is not None
        or (client.only is not None and not client.only.hears_of(guild_id))
        for channel_id in channels
    ]
    return places[:MOST]


async def announce(client: Kataribe, text: str) -> int:
    """Say something there; gives in how many channels it stands.

    Raises:
        AnnouncedLatelyError: Something was said less than ten minutes ago.
    """
    now = asyncio.get_running_loop().time()
    if now - client.announced_at < NOT_BEFORE:
        raise AnnouncedLatelyError
    client.announced_at = now
    reached = 0
    for nth, (guild_id, channel_id) in enumerate(await story_channels(client)):
        if nth:
            await asyncio.sleep(PAUSE)
        reached += await said_in(client, guild_id, channel_id, text)
    return reached


async def said_in(client: Kataribe, guild_id: int, channel_id: int, text: str) -> bool:
    """Say something in a channel; gives whether it stands there."""
    try:
        await client.get_partial_messageable(channel_id, guild_id=guild_id).send(text)
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        _log.info("Channel %d hears nothing: %s", channel_id, error)
        return False
    return True
