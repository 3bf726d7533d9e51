"""/story: hear a story."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.asking import ask
from bot.commands.model import NAME_LIMIT, suggest
from bot.locales import say
from bot.openings import opening
from bot.safety.beginnings import checked_prompt

if TYPE_CHECKING:
    from bot.client import Kataribe


@app_commands.command(name="story", description=say("command.story.description"))
@app_commands.describe(prompt=say("command.story.prompt"), model=say("command.story.model"))
@app_commands.autocomplete(model=suggest)
async def story(
    interaction: discord.Interaction[Kataribe],
    prompt: str = "",
    model: app_commands.Range[str, 1, NAME_LIMIT] | None = None,
) -> None:
    """Check what was given, choose what was not, and ask."""
    client = interaction.client
    beginning = checked_prompt(prompt, client.settings.stories.prompt_limit)
    await ask(
        interaction,
        prompt=beginning or opening(),
        house_opening=not beginning,
        model=model or await client.teller(interaction.guild_id),
    )
