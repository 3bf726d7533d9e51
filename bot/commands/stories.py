"""/stories: find stories again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.apologies import NoStoryOfNumberError, NothingSearchedError, StoryGoneError
from bot.browsing import views
from bot.browsing.lists import WORDS, Listing
from bot.browsing.reading import open_tale
from bot.browsing.visible import story_for, viewer
from bot.database.browsing import Span
from bot.locales import say

if TYPE_CHECKING:
    from bot.client import Kataribe

LARGEST = 2**53 - 1
"""The largest number that Discord takes."""


async def show_list(interaction: discord.Interaction[Kataribe], listing: Listing) -> None:
    """Answer with the first page, to who asked alone: others may see other channels."""
    await interaction.response.defer(ephemeral=True, thinking=True)
    page = await listing.page(interaction, 1)
    await interaction.edit_original_response(
        embed=listing.embed(page), view=views.listed(listing, page)
    )


class Stories(app_commands.Group, name="stories", description=say("command.stories.description")):
    """Everything that was told and that the member may see."""

    @app_commands.command(name="top", description=say("command.stories.top"))
    @app_commands.describe(span=say("command.stories.top_span"))
    @app_commands.choices(
        span=[app_commands.Choice(name=say(f"list.span.{span}"), value=span) for span in Span]
    )
    async def top(self, interaction: discord.Interaction[Kataribe], span: str = Span.WEEK) -> None:
        """The best of a day, a week, a month, or of all."""
        known = Span(span) if span in set(Span) else Span.WEEK
        await show_list(interaction, Listing("top", known))

    @app_commands.command(name="new", description=say("command.stories.new"))
    async def new(self, interaction: discord.Interaction[Kataribe]) -> None:
        """The newest."""
        await show_list(interaction, Listing("new"))

    @app_commands.command(name="mine", description=say("command.stories.mine"))
    async def mine(self, interaction: discord.Interaction[Kataribe]) -> None:
        """The member's own, private ones among them."""
        await show_list(interaction, Listing("mine"))

    @app_commands.command(name="search", description=say("command.stories.search"))
    @app_commands.describe(words=say("command.stories.search_words"))
    async def search(
        self,
        interaction: discord.Interaction[Kataribe],
        words: app_commands.Range[str, 1, WORDS],
    ) -> None:
        """Those that have all of the words."""
        listing = Listing.search(words)
        if not listing.words:
            raise NothingSearchedError(f"no word in {words!r}")
        await show_list(interaction, listing)

    @app_commands.command(name="random", description=say("command.stories.random"))
    async def random(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Any one."""
        found = await interaction.client.services.browsing.any_one(viewer(interaction))
        if found is None:
            await interaction.response.send_message(say("list.none"), ephemeral=True)
            return
        await open_tale(interaction, await story_for(interaction, found.id))

    @app_commands.command(name="show", description=say("command.stories.show"))
    @app_commands.describe(number=say("command.stories.show_number"))
    async def show(
        self,
        interaction: discord.Interaction[Kataribe],
        number: app_commands.Range[int, 1, LARGEST],
    ) -> None:
        """One, by its number."""
        try:
            found = await story_for(interaction, number)
        except StoryGoneError as error:
            raise NoStoryOfNumberError(number) from error
        await open_tale(interaction, found)
