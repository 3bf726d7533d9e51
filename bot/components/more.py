"""**⋯** under a story, and what its menu offers: read, details, a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import ui

from bot.apologies import StoryGoneError
from bot.browsing import views
from bot.browsing.details import details_of
from bot.browsing.reading import open_tale, turn_page
from bot.browsing.sharing import picture_of
from bot.browsing.visible import story_for
from bot.components.press import Button, Press
from bot.components.story_button import StoryButton
from bot.locales import say
from bot.messages.views import more

if TYPE_CHECKING:
    from bot.client import Kataribe
    from bot.database.tables import Story


class More(StoryButton, template=r"kataribe:more:(?P<story_id>\d{1,19})"):
    """Opens the menu, for whoever pressed and nobody else."""

    def __init__(self, story_id: int) -> None:
        super().__init__(more(story_id))
        self.story_id = story_id

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """Offer what the member may do; each of them is asked for again when it is pressed."""
        await story_for(interaction, story.id)
        own = interaction.user.id == story.member_id
        view = views.menu(
            story.id,
            delete=own or (story.guild_id is not None and interaction.permissions.manage_guild),
            report=story.guild_id is not None and not own,
        )
        embed = await details_of(interaction, story)
        await interaction.response.send_message(embed=embed, view=view, ephemeral=True)


class Read(Press[Button], template=r"kataribe:read:(?P<story_id>\d{1,19})"):
    """The whole tale from its first part on."""

    def __init__(self, story_id: int) -> None:
        super().__init__(views.button("read", story_id))
        self.story_id = story_id

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Open it at its first page."""
        story = await story_for(interaction, self.story_id)
        await open_tale(interaction, story, from_start=True)


class TurnPage(Press[Button], template=r"kataribe:page:(?P<story_id>\d{1,19}):(?P<page>\d{1,6})"):
    """The page before, or the next."""

    def __init__(self, story_id: int, page: int) -> None:
        super().__init__(views.page_button(story_id, page))
        self.story_id = story_id
        self.page = page

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Turn to it; a page that is no more is the last that there is."""
        await turn_page(interaction, await story_for(interaction, self.story_id), self.page)


class Details(Press[Button], template=r"kataribe:details:(?P<story_id>\d{1,19})"):
    """How it came about."""

    def __init__(self, story_id: int) -> None:
        super().__init__(views.button("details", story_id))
        self.story_id = story_id

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Say it to who pressed."""
        embed = await details_of(interaction, await story_for(interaction, self.story_id))
        await interaction.response.send_message(embed=embed, ephemeral=True)


class Picture(Press[Button], template=r"kataribe:picture:(?P<story_id>\d{1,19})"):
    """The story as a picture, to keep or to show."""

    def __init__(self, story_id: int) -> None:
        super().__init__(views.button("picture", story_id))
        self.story_id = story_id

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Show it to who pressed, who may then post it."""
        story = await story_for(interaction, self.story_id)
        await interaction.response.defer(ephemeral=True, thinking=True)
        file = await picture_of(interaction, story)
        view = ui.View(timeout=None)
        if not story.private:
            view.add_item(views.button("post", story.id))
        said = None if story.private else say("more.picture_ready")
        await interaction.edit_original_response(content=said, attachments=[file], view=view)


class Post(Press[Button], template=r"kataribe:post:(?P<story_id>\d{1,19})"):
    """The picture, shown to everybody."""

    def __init__(self, story_id: int) -> None:
        super().__init__(views.button("post", story_id))
        self.story_id = story_id

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Post it once: the button goes with the press, and a second press may be on its way."""
        story = await story_for(interaction, self.story_id)
        if story.private:
            raise StoryGoneError(f"story {story.id} is private")
        member_id = interaction.user.id
        await interaction.client.services.heed_mute(interaction.guild_id, member_id)
        with interaction.client.services.posted.posting(member_id, story.id):
            await interaction.response.edit_message(content=None, view=None)
            file = await picture_of(interaction, story)
            await interaction.followup.send(say("more.posted", member=member_id), file=file)
