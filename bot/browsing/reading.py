"""A tale opened for one member alone, and its pages turned."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import discord

from bot.browsing import views
from bot.browsing.tale import tale_of
from bot.locales import say
from bot.safety.escaping import escaped

if TYPE_CHECKING:
    from discord import Interaction

    from bot.client import Kataribe
    from bot.database.tables import Story


async def open_tale(
    interaction: Interaction[Kataribe], story: Story, *, from_start: bool = False
) -> None:
    """Answer with the page on which the story begins, or with the first, and the whole as text."""
    await interaction.response.defer(ephemeral=True, thinking=True)
    tale = await tale_of(interaction, story)
    # Long tales take a while to be laid out, and everybody would wait.
    pages, begins = await asyncio.to_thread(tale.pages)
    file = await asyncio.to_thread(tale.file)
    page = 0 if from_start else begins
    await interaction.edit_original_response(
        embed=_embed(tale.title, pages, page, tale.attribution),
        view=views.turning(story.id, page + 1, len(pages)),
        attachments=[file],
    )


async def turn_page(interaction: Interaction[Kataribe], story: Story, page: int) -> None:
    """Show another page in the same message; its file stays. The first is 1."""
    await interaction.response.defer()
    tale = await tale_of(interaction, story)
    pages, _ = await asyncio.to_thread(tale.pages)
    page = min(max(page, 1), len(pages))
    await interaction.edit_original_response(
        embed=_embed(tale.title, pages, page - 1, tale.attribution),
        view=views.turning(story.id, page, len(pages)),
    )


def _embed(title: str, pages: list[str], page: int, attribution: str) -> discord.Embed:
    embed = discord.Embed(title=escaped(title)[:256], description=pages[page])
    footer = attribution
    if len(pages) > 1:
        footer = f"{say('tale.page', page=page + 1, pages=len(pages))} · {attribution}"
    return embed.set_footer(text=footer)
