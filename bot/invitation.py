"""The link by which a server lets the bot in, with what it needs there."""

from __future__ import annotations

import discord

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
