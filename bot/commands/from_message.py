"""**Continue as a story**, on a message of one's own: its words are the beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.apologies import NothingWrittenError, NotYourMessageError
from bot.asking import ask, places, wish_of
from bot.locales import say
from bot.safety.beginnings import checked_prompt, end_of

if TYPE_CHECKING:
    from bot.client import Kataribe


@app_commands.context_menu(name=say("command.from_message.name"))
async def from_message(
    interaction: discord.Interaction[Kataribe], message: discord.Message
) -> None:
    """Begin with the member's message; of a long one, with its end."""
    if message.author.id != interaction.user.id:
        raise NotYourMessageError(f"message {message.id} is another member's")
    services = interaction.client.services
    limit = services.settings.stories.prompt_limit
    beginning = checked_prompt(end_of(message.content, limit), limit)
    if not beginning:
        raise NothingWrittenError(f"message {message.id} has no words")
    wish = wish_of(
        interaction,
        prompt=beginning,
        house_opening=False,
        model=await services.teller(interaction.guild_id, *places(interaction)),
        length=await services.length(interaction.guild_id),
    )
    await ask(interaction, wish, introduction="story.from_message")
