"""/help: what there is to do, on one screen of a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.locales import say

if TYPE_CHECKING:
    from bot.client import Kataribe


@app_commands.command(name="help", description=say("command.help.description"))
async def help_command(interaction: discord.Interaction[Kataribe]) -> None:
    """Say it to the member who asked, and to nobody else."""
    embed = discord.Embed(title=say("help.title"), description=say("help.text"))
    await interaction.response.send_message(embed=embed, ephemeral=True)
