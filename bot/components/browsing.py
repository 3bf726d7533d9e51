"""The pages of a list of stories, and the menu from which one is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.apologies import StoryGoneError
from bot.browsing import views
from bot.browsing.lists import Listing
from bot.browsing.reading import open_tale
from bot.browsing.visible import story_for
from bot.components.press import Button, Press, chosen, number

if TYPE_CHECKING:
    from bot.client import Kataribe


class TurnList(Press[Button], template=Listing.TEMPLATE):
    """Another page of a list, or another list in its place."""

    def __init__(self, listing: Listing, page: int) -> None:
        super().__init__(views.list_button(listing, page))
        self.listing = listing
        self.page = page

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the list and its page from the custom id."""
        del interaction, item
        return cls(*Listing.read(match))

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Turn to it, as it is now and for who pressed."""
        await interaction.response.defer()
        page = await self.listing.page(interaction, self.page)
        await interaction.edit_original_response(
            embed=self.listing.embed(page), view=views.listed(self.listing, page)
        )


class OpenStory(Press[ui.Select[ui.View]], template=re.escape(views.OPEN_ID)):
    """The stories of a page, of which one is read."""

    def __init__(self) -> None:
        super().__init__(views.chooser())

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Open it where it begins."""
        story_id = chosen(self.item)
        if not story_id.isdecimal():
            raise StoryGoneError(f"no story {story_id!r}")
        await open_tale(interaction, await story_for(interaction, number(story_id)))
