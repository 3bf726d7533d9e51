"""Stories on Discord: each in one message, posted once and edited as its story goes."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import sys
from typing import TYPE_CHECKING

from bot.components.buttons import view_of
from bot.database.tables import State
from bot.messages import embeds
from bot.messages.pages import Channel, Drawing, Page, Urgency
from bot.messages.posting import Posts, until_answered
from bot.worker.stage import StageGoneError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import discord

    from bot.client import Kataribe
    from bot.database.tables import Story
    from bot.messages.pacing import Clock, Pace
    from bot.messages.pages import Draw

_log = logging.getLogger(__name__)

WORD = re.compile(r"\s*\S+")
FIRST_WORDS = 5
"""Words that are shown at once."""
PAGES_KEPT = 2000
"""Waiting messages whose place is kept up to date."""
CHANNELS_KEPT = 1000
"""Channels whose pace is remembered although nothing is written there."""


class DiscordTelling:
    """One story's message while it is told; see `bot.worker.stage.Telling`.

    A model may tell faster than anybody reads. Its words are then shown at the pace of a teller
    (`stories.words_per_second`), unless others may wait for their turn.
    """

    def __init__(self, stage: DiscordStage, page: Page) -> None:
        self._stage = stage
        self._page = page

    def show(self, text: str) -> None:
        """Take the text so far; the newest wins, edits are paced, and nothing waits here.

        Raises:
            StageGoneError: The message was deleted meanwhile: nobody will read on.
        """
        page = self._page
        if page.gone:
            raise StageGoneError(f"the message of story {page.story.id} is out of reach")
        if page.closed or not text.strip():
            return
        page.told = text
        urgency = Urgency.NEXT
        if page.begun_at is None:
            page.begun_at = self._stage.clock.time()
            urgency = Urgency.FIRST
        self._stage.want(page, self._draw, urgency)

    async def finish(self, story: Story) -> None:
        """Show the story as it ended, with its buttons.

        Raises:
            StageGoneError: The message was deleted, or the bot may no longer write there.
            StageClosedError: Discord takes nothing there for now.
        """
        if story.state is State.TOLD:
            await self._all_said()
        await self._stage.finish(self._page, story)

    async def _draw(self) -> Drawing:
        """The words that a teller would have said by now; the others follow by themselves."""
        page = self._page
        text = page.told
        words = list(WORD.finditer(text))
        if (said := self._said()) < len(words):
            text = text[: words[said - 1].end()]
            if not page.closed:
                page.want(self._draw, Urgency.NEXT)
        return Drawing(embeds.telling(page.story, text), view_of(page.story))

    def _said(self) -> int:
        """Words that may be shown by now."""
        pace, begun_at = self._stage.words_per_second, self._page.begun_at
        if not pace or begun_at is None:
            return sys.maxsize
        return FIRST_WORDS + int(pace * (self._stage.clock.time() - begun_at))

    async def _all_said(self) -> None:
        """Wait until the last word's turn has come."""
        missing = len(WORD.findall(self._page.told)) - self._said()
        if missing > 0 and not self._page.gone:
            turn = asyncio.Event()
            self._stage.clock.call_later(missing / self._stage.words_per_second, turn.set)
            await turn.wait()


class DiscordStage:
    """Every story's message; see `bot.worker.stage.Stage`."""

    def __init__(self, client: Kataribe, pace: Pace) -> None:
        self._client = client
        self._pace = pace
        self._posts = Posts(client)
        self._catching_up: asyncio.Task[None] | None = None
        self._pages: dict[int, Page] = {}
        self._channels: dict[int, Channel] = {}

    @property
    def clock(self) -> Clock:
        """What all pacing goes by."""
        return self._pace.clock

    @property
    def words_per_second(self) -> float:
        """How fast words are shown; 0 is as fast as they are told, while all tellers are busy."""
        settings = self._client.settings
        telling = sum(page.telling and not page.closed for page in self._pages.values())
        return 0.0 if telling >= settings.queue.tellers else settings.stories.words_per_second

    # What the dispatcher asks for.

    def telling(self, story: Story) -> DiscordTelling:
        """Open the story's message for writing; a message is posted when it has none yet."""
        page = self._page(story)
        if story.state is State.TELLING:
            page.story = story
            page.begin()
        return DiscordTelling(self, page)

    def waiting(self, positions: Mapping[int, int]) -> None:
        """Tell those who wait where they stand: story id → position, 1 being the next."""
        if self._catching_up is None:
            # Who waits already at the start was answered before it.
            self._catching_up = asyncio.create_task(self._catch_up(positions), name="catch up")
        for story_id, place in positions.items():
            page = self._pages.get(story_id)
            if page is None or page.closed or (page.telling and not page.waits_again()):
                continue
            if page.place == place:
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
        if self._catching_up is not None:
            self._catching_up.cancel()
            await asyncio.wait([self._catching_up])
        for channel in self._channels.values():
            await channel.close()

    # How a page is drawn when its turn comes.

    async def draw_waiting(self, page: Page) -> Drawing:
        """Its place in the queue."""
        return self.answer(page.story, page.place)

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
            StageClosedError: Discord takes nothing there for now.
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

    async def _catch_up(self, positions: Mapping[int, int]) -> None:
        """Learn the messages of those who wait and were answered by another process."""
        try:
            unknown = positions.keys() - self._pages.keys()
            for story in await self._client.services.stories.several(unknown):
                self._page(story)
        except Exception:  # noqa: BLE001  # stories are told all the same
            _log.exception("Those who wait since before the start are not told their place")
        self.waiting(positions)

    def _page(self, story: Story) -> Page:
        page = self._pages.get(story.id)
        if page is None:
            page = Page(story, story.message_id)
            if page.message_id is None:
                page.not_before = self.clock.time() + until_answered(story)
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
                write=self._posts.write,
                budget=self._pace.of(channel_id),
                ambient=self._pace.ambient,
                interval=self._client.settings.stories.edit_interval,
                clock=self.clock,
            )
        return channel

    def _forget_idle_channels(self) -> None:
        for channel_id in [i for i, channel in self._channels.items() if channel.idle]:
            del self._channels[channel_id]
            self._pace.forget(channel_id)
