"""A story as a picture that can be shown anywhere, with who told it."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING

import discord

from bot.browsing.tale import TITLE, Tale, title_of
from bot.locales import say
from bot.pictures import draw_card
from bot.safety.visible import visible

if TYPE_CHECKING:
    from discord import Interaction

    from bot.client import Kataribe
    from bot.database.tables import Story

DRAWN = 6000
"""Characters of a story that are looked at: more than a picture holds."""
ALT = 1024
"""Characters that Discord takes as what a picture shows."""


async def picture_of(interaction: Interaction[Kataribe], story: Story) -> discord.File:
    """Give the story's picture, with a description for those who do not see it.

    Raises:
        NoLettersError: No font here has its letters.
    """
    services = interaction.client.services
    tale = Tale([story], await services.browsing.is_blind(story))
    title = title_of(story.prompt, TITLE)
    # With its beginning, which may be half of its first word.
    text = visible(f"{story.prompt}{story.text}"[:DRAWN], lines=True).strip()
    draw = functools.partial(draw_card, title, text, tale.attribution)
    png = await services.pictures.get((title, text, tale.attribution), draw)
    alt = say("picture.alt", title=title or title_of(text, TITLE), attribution=tale.attribution)
    # The text itself belongs to what is described.
    described = f"{alt} {text}"
    described = described if len(described) <= ALT else f"{described[: ALT - 1]}…"
    return discord.File(io.BytesIO(png), f"story-{story.id}.png", description=described)
