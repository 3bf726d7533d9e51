"""The channel in which a server's moderators want to hear what happens, if they chose one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import aiohttp
import discord

if TYPE_CHECKING:
    from bot.client import Kataribe

_log = logging.getLogger(__name__)


async def tell_moderators(client: Kataribe, guild_id: int, **message: Any) -> bool:
    """Say something in a server's log channel; gives whether it stands there.

    Args:
        client: Discord's.
        guild_id: The server.
        message: What `send` takes.
    """
    channel_id = (await client.services.guilds.settings(guild_id)).log_channel
    if channel_id is None:
        return False
    channel = client.get_partial_messageable(channel_id, guild_id=guild_id)
    try:
        await channel.send(**message)
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        # What it is about is in the database, and the moderators have a command for it.
        _log.warning("The log channel of server %d is out of reach: %s", guild_id, error)
        return False
    return True
