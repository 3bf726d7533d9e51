"""A story's message on Discord: found if it stands somewhere, posted if not, and edited."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import discord

from bot.locales import say

if TYPE_CHECKING:
    from bot.client import Kataribe
    from bot.database.tables import Story
    from bot.messages.pages import Drawing, Page

_log = logging.getLogger(__name__)

ANSWER_WITHIN = 3.0
"""Seconds that Discord gives us to answer an interaction; younger than that, an answer without
a known message may be on its way."""
LOOKED_THROUGH = 50
"""Messages after the interaction among which its answer is looked for."""


class Posts:
    """Writes pages to Discord; any exception of discord.py may come out."""

    def __init__(self, client: Kataribe) -> None:
        self._client = client

    async def write(self, page: Page, drawing: Drawing) -> None:
        """Bring a page's message up to date; find or post it first if it is not known."""
        story = page.story
        if page.message_id is None:
            page.message_id = await self._find(story)
        if page.message_id is None:
            page.message_id = await self._post(story, drawing)
            return
        if page.answering and page.interaction is not None:
            try:
                await page.interaction.edit_original_response(
                    embed=drawing.embed, view=drawing.view
                )
            except discord.NotFound:
                pass  # its token is no longer known; the channel says whether the message is
            else:
                return
        if not page.through_interaction:
            message = self._messageable(story).get_partial_message(page.message_id)
            try:
                await message.edit(embed=drawing.embed, view=drawing.view)
            except (discord.Forbidden, discord.NotFound):
                # Where the bot is no member (installed by a user only) or may not look, its
                # answer can still be edited through the interaction, for fifteen minutes.
                if page.interaction is None or page.interaction.is_expired():
                    raise
            else:
                return
        assert page.interaction is not None  # noqa: S101  # asked above, now or at an earlier edit
        await page.interaction.edit_original_response(embed=drawing.embed, view=drawing.view)
        page.through_interaction = True

    async def _find(self, story: Story) -> int | None:
        """The answer that was posted, if a bot died before it could write down which it was."""
        known = await self._client.services.stories.get(story.id)
        if known is not None and known.message_id is not None:
            return known.message_id
        try:
            async for message in self._messageable(story).history(
                limit=LOOKED_THROUGH, after=discord.Object(story.interaction_id), oldest_first=True
            ):
                asked = message.interaction_metadata
                if asked is not None and asked.id == story.interaction_id:
                    await self._client.services.queue.posted(story.id, message.id)
                    return message.id
        except discord.Forbidden:
            _log.info("May not read the history of channel %d", story.channel_id)
        return None

    async def _post(self, story: Story, drawing: Drawing) -> int:
        """Show a story whose answer never came to stand in the channel."""
        message = await self._messageable(story).send(
            say("story.posted", member=story.member_id),
            embed=drawing.embed,
            view=drawing.view,
        )
        await self._client.services.queue.posted(story.id, message.id)
        return message.id

    def _messageable(self, story: Story) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(story.channel_id, guild_id=story.guild_id)


def until_answered(story: Story) -> float:
    """Seconds in which the story's interaction may still be answered."""
    age = discord.utils.utcnow() - discord.utils.snowflake_time(story.interaction_id)
    return min(max(0.0, ANSWER_WITHIN - age.total_seconds()), ANSWER_WITHIN)
