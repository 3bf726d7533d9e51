"""Stories on Discord: each in one message, posted once and edited as its story goes."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING

import discord

from bot import embeds
from bot.buttons import view_of
from bot.locales import say
from bot.pages import Channel, Drawing, Page, Urgency
from bot.stage import StageGoneError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.client import Kataribe
    from bot.database.tables import Story
    from bot.pacing import Pace
    from bot.pages import Draw

_log = logging.getLogger(__name__)

ANSWER_WITHIN = 3.0
"""Seconds that Discord gives us to answer an interaction; younger than that, an answer without
a known message may be on its way."""
LOOKED_THROUGH = 50
"""Messages after the interaction among which its answer is looked for."""
PAGES_KEPT = 2000
"""Waiting messages whose place is kept up to date."""
CHANNELS_KEPT = 1000
"""Channels whose pace is remembered although nothing is written there."""


class DiscordTelling:
    """One story's message while it is told; see `bot.stage.Telling`."""

    def __init__(self, stage: DiscordStage, page: Page) -> None:
        self._stage = stage
        self._page = page
        self._begun = False

    def show(self, text: str) -> None:
        """Take the text so far; the newest wins, edits are paced, and nothing waits here.

        Raises:
            StageGoneError: The message was deleted meanwhile: nobody will read on.
        """
        if self._page.gone:
            raise StageGoneError(f"the message of story {self._page.story.id} is out of reach")
        if self._page.closed or not text.strip():
            return
        urgency = Urgency.NEXT if self._begun else Urgency.FIRST
        self._begun = True
        draw = functools.partial(self._stage.draw_telling, self._page, text)
        self._stage.want(self._page, draw, urgency)

    async def finish(self, story: Story) -> None:
        """Show the story as it ended, with its buttons.

        Raises:
            StageGoneError: The message was deleted, or the bot may no longer write there.
        """
        await self._stage.finish(self._page, story)


class DiscordStage:
    """Every story's message; see `bot.stage.Stage`."""

    def __init__(self, client: Kataribe, pace: Pace) -> None:
        self._client = client
        self._pace = pace
        self._pages: dict[int, Page] = {}
        self._channels: dict[int, Channel] = {}

    # What the dispatcher asks for.

    def telling(self, story: Story) -> DiscordTelling:
        """Open the story's message for writing; a message is posted when it has none yet."""
        page = self._page(story)
        page.story = story
        page.telling = True
        return DiscordTelling(self, page)

    def waiting(self, positions: Mapping[int, int]) -> None:
        """Tell those who wait where they stand: story id → position, 1 being the next."""
        for story_id, place in positions.items():
            page = self._pages.get(story_id)
            if page is None or page.telling or page.closed or page.place == place:
                continue
            page.place = place
            self.want(page, functools.partial(self.draw_waiting, page), Urgency.AMBIENT)

    # What commands and buttons ask and tell.

    def answer(self, story: Story, place: int | None) -> Drawing:
        """What a wish is answered with."""
        embed = embeds.waiting(story, place, down=self._client.catalogue.down)
        return Drawing(embed, view_of(story))

    def answered(
        self,
        story: Story,
        message_id: int,
        interaction: discord.Interaction[Kataribe],
        place: int | None,
    ) -> None:
        """Learn the message that an interaction was answered with."""
        page = self._page(story)
        page.message_id = message_id
        page.interaction = interaction
        page.place = place
        page.not_before = float("-inf")
        if page.draw is not None:
            self._channel(story.channel_id).add(page)

    def rated(self, story: Story) -> None:
        """Bring a told story's average up to date, soon."""
        page = self._page(story)
        if not page.gone:
            self.want(page, functools.partial(self.draw_ended, page), Urgency.AMBIENT)

    async def close(self) -> None:
        """Write nothing more."""
        for channel in self._channels.values():
            await channel.close()

    # How a page is drawn when its turn comes.

    async def draw_waiting(self, page: Page) -> Drawing:
        """Its place in the queue."""
        return self.answer(page.story, page.place)

    async def draw_telling(self, page: Page, text: str) -> Drawing:
        """The words so far."""
        return Drawing(embeds.telling(page.story, text), view_of(page.story))

    async def draw_ended(self, page: Page) -> Drawing:
        """The story with its stars as they are now, and its buttons."""
        stars = await self._client.services.ratings.stars(page.story.id)
        return Drawing(embeds.ended(page.story, stars), view_of(page.story))

    def want(self, page: Page, draw: Draw, urgency: Urgency) -> None:
        """Have the page drawn when its turn comes."""
        page.want(draw, urgency)
        self._channel(page.story.channel_id).add(page)

    async def finish(self, page: Page, story: Story) -> None:
        """Draw the page a last time, and wait until it stands in the channel.

        Raises:
            StageGoneError: The message was deleted, or the bot may no longer write there.
        """
        if page.gone:
            raise StageGoneError(f"the message of story {story.id} is out of reach")
        page.story = story
        page.closed = True
        shown = asyncio.get_running_loop().create_future()
        page.shown.append(shown)
        self.want(page, functools.partial(self.draw_ended, page), Urgency.LAST)
        try:
            await shown
        finally:
            self._pages.pop(story.id, None)

    def _page(self, story: Story) -> Page:
        page = self._pages.get(story.id)
        if page is None:
            page = Page(story, story.message_id)
            if page.message_id is None:
                page.not_before = self._pace.clock.time() + _until_answered(story)
            self._pages[story.id] = page
            self._trim()
        return page

    def _trim(self) -> None:
        if len(self._pages) > PAGES_KEPT:
            idle = next((i for i, p in self._pages.items() if p.draw is None), None)
            if idle is not None:
                del self._pages[idle]

    def _channel(self, channel_id: int) -> Channel:
        channel = self._channels.get(channel_id)
        if channel is None:
            if len(self._channels) >= CHANNELS_KEPT:
                self._forget_idle_channels()
            channel = self._channels[channel_id] = Channel(
                write=self._write,
                budget=self._pace.of(channel_id),
                interval=self._client.settings.stories.edit_interval,
                clock=self._pace.clock,
            )
        return channel

    def _forget_idle_channels(self) -> None:
        for channel_id in [i for i, channel in self._channels.items() if channel.idle]:
            del self._channels[channel_id]
            self._pace.forget(channel_id)

    async def _write(self, page: Page, drawing: Drawing) -> None:
        """Bring a page's message up to date; find or post it first if it is not known."""
        story = page.story
        if page.message_id is None:
            page.message_id = await self._find(story)
        if page.message_id is None:
            page.message_id = await self._post(story, drawing)
            return
        message = self._messageable(story).get_partial_message(page.message_id)
        try:
            await message.edit(embed=drawing.embed, view=drawing.view)
        except (discord.Forbidden, discord.NotFound):
            # Where the bot is no member (installed by a user only) or may not look, the answer
            # can still be edited through its interaction, for fifteen minutes.
            if page.interaction is None or page.interaction.is_expired():
                raise
            await page.interaction.edit_original_response(embed=drawing.embed, view=drawing.view)

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


def _until_answered(story: Story) -> float:
    """Seconds in which the story's interaction may still be answered."""
    age = discord.utils.utcnow() - discord.utils.snowflake_time(story.interaction_id)
    return min(max(0.0, ANSWER_WITHIN - age.total_seconds()), ANSWER_WITHIN)
