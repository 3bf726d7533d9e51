"""/privacy: what is kept of a member and why; and how to get it, and to delete it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord import app_commands

from bot.locales import say
from bot.messages import privacy as shown

if TYPE_CHECKING:
    import discord

    from bot.client import Kataribe


@app_commands.command(name="privacy", description=say("command.privacy.description"))
async def privacy(interaction: discord.Interaction[Kataribe]) -> None:
    """Say it to the member who asked, and to nobody else."""
    await interaction.response.send_message(
        embed=shown.what_is_kept(interaction.client.services.settings),
        view=shown.offered(),
        ephemeral=True,
    )
