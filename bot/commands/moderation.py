"""What moderators do with stories: look at what was reported, and remove what must go."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.apologies import NoStoryThereError
from bot.authority import moderated_guild
from bot.locales import say
from bot.moderating import RemovalForm, reported_page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.client import Kataribe

_STORY = re.compile(r"kataribe:[a-z]+:(\d{1,19})(?::.*)?")
"""A button of a story, by its custom id."""


@app_commands.command(name="reports", description=say("command.reports.description"))
@app_commands.guild_only()
@app_commands.default_permissions(manage_guild=True)
async def reports(interaction: discord.Interaction[Kataribe]) -> None:
    """Show the reported story that has waited longest to the moderator who asked."""
    page = await reported_page(interaction.client, moderated_guild(interaction))
    await interaction.response.send_message(
        page.content, embeds=page.embeds, view=page.view, ephemeral=True
    )


@app_commands.context_menu(name=say("command.remove.name"))
@app_commands.guild_only()
@app_commands.default_permissions(manage_guild=True)
async def remove_story(
    interaction: discord.Interaction[Kataribe], message: discord.Message
) -> None:
    """Remove the stories of a message, whatever stands in it besides."""
    guild_id = moderated_guild(interaction)
    client = interaction.client
    if client.user is None or message.author.id != client.user.id:
        raise NoStoryThereError(f"message {message.id} is not ours")
    found = await client.services.stories.several(set(_story_ids(message.components)))
    stories = [
        story
        for story in found
        if story.guild_id == guild_id
        and story.removed_at is None
        and story.message_id in {None, message.id}
    ]
    if not stories:
        raise NoStoryThereError(f"message {message.id} has no story")
    await interaction.response.send_modal(RemovalForm(stories))


def _story_ids(components: object) -> Iterator[int]:
    """The stories that a message's buttons name, wherever the buttons stand."""
    if not isinstance(components, list | tuple):
        return
    for component in components:
        if match := _STORY.fullmatch(getattr(component, "custom_id", None) or ""):
            yield int(match[1])
        yield from _story_ids(getattr(component, "children", None))
