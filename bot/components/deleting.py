"""**Delete** in a story's menu: for who asked for it, and for moderators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import ui

from bot.apologies import NotYourStoryError, StoryGoneError
from bot.authority import is_moderator
from bot.browsing.visible import standing_story
from bot.components.press import NumberedButton
from bot.locales import say
from bot.moderating import RemovalForm

if TYPE_CHECKING:
    from bot.client import Kataribe


class Delete(NumberedButton, template=r"kataribe:delete:(?P<number>\d{1,19})"):
    """Asks once more before anything is gone: its author, or a moderator for a reason."""

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Ask whoever may."""
        story = await standing_story(interaction, self.number)
        if interaction.user.id == story.member_id:
            red = discord.ButtonStyle.danger
            yes: ui.Button[ui.View] = ui.Button(
                label=say("remove.yes"), style=red, custom_id=f"kataribe:delete:{story.id}:yes"
            )
            await interaction.response.send_message(
                say("remove.confirm"), view=ui.View(timeout=None).add_item(yes), ephemeral=True
            )
        elif is_moderator(interaction):
            await interaction.response.send_modal(RemovalForm([story]))
        else:
            raise NotYourStoryError(f"story {story.id} belongs to another member")


class ReallyDelete(NumberedButton, template=r"kataribe:delete:(?P<number>\d{1,19}):yes"):
    """The author's second press."""

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Blank the story."""
        story = await standing_story(interaction, self.number)
        if interaction.user.id != story.member_id:
            raise NotYourStoryError(f"story {story.id} belongs to another member")
        if await interaction.client.services.remove(story) is None:
            raise StoryGoneError(f"story {story.id} was removed meanwhile")
        await interaction.response.edit_message(content=say("remove.deleted"), view=None)
