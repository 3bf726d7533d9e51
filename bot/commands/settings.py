"""/settings: what a server's moderators choose, as one message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord import app_commands

from bot.authority import moderated_guild
from bot.locales import say
from bot.messages.settings_page import Page, settings_message

if TYPE_CHECKING:
    import discord

    from bot.client import Kataribe


@app_commands.command(name="settings", description=say("command.settings.description"))
@app_commands.guild_only()
@app_commands.default_permissions(manage_guild=True)
async def settings(interaction: discord.Interaction[Kataribe]) -> None:
    """Show the settings to the moderator who asked, and to nobody else."""
    guild_id = moderated_guild(interaction)
    guild = interaction.client.get_guild(guild_id)
    shown = await interaction.client.services.shown_settings(
        guild_id, lambda channel_id: bool(guild and guild.get_channel_or_thread(channel_id))
    )
    view = settings_message(Page.PLACES, shown)
    await interaction.response.send_message(view=view, ephemeral=True)
