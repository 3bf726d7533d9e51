"""The link by which a server lets the bot in, with what it needs there, and who is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord

if TYPE_CHECKING:
    from bot.client import Kataribe

NEEDED = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    embed_links=True,
    read_message_history=True,
)
"""What `docs/moderators.md` gives the reasons of."""


def invitation(application_id: int) -> str:
    """Give the link for an application."""
    return discord.utils.oauth_url(
        application_id, permissions=NEEDED, scopes=("bot", "applications.commands")
    )


async def greeting(client: Kataribe) -> str:
    """Say to the host who is on Discord, and how a bot that no server has is let in."""
    some = f", with shards {client.only}" if client.only is not None else ""
    said = f"Kataribe is on Discord as {client.user}{some}."
    if await _is_somewhere(client):
        return said
    assert client.application_id is not None  # noqa: S101  # login has set it
    return f"{said}\nInvite it to a server: {invitation(client.application_id)}"


async def _is_somewhere(client: Kataribe) -> bool:
    """Whether a server has the bot; of some shards' process it may be another's."""
    if client.guilds or client.only is None:
        return bool(client.guilds)
    try:
        return bool([server async for server in client.fetch_guilds(limit=1)])
    except (discord.HTTPException, OSError):
        return True  # nobody misses the link for long
