"""Every story's message: posted once, and written as its story goes; see `bot.worker.presenter`."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from bot.database.clock import now
from bot.database.tables import State
from bot.database.wishes import TOKEN_LIFE
from bot.messages import embeds, views
from bot.messages.message import Phase, StoryMessage, Token, Urgency
from bot.messages.posting import Drawing, Posts, page_of
from bot.messages.schedule import Schedule
from bot.worker.presenter import MessageGoneError, OutOfReachError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import discord

    from bot.config import Stories as Settings
    from bot.database.queue import Queue
    from bot.database.ratings import Ratings
    from bot.database.stories import Stories
    from bot.database.tables import Story
    from bot.messages.pacing import Pace
    from bot.messages.posting import Channels
    from bot.worker.catalogue import Catalogue

_log = logging.getLogger(__name__)

KEPT = 2000
"""Messages that are remembered; of more, those that only wait lose the upkeep of their place."""
MARGIN = 30.0
"""Seconds before its end that a token is used no more."""
TOKEN_LIVES = TOKEN_LIFE.total_seconds() - MARGIN


class StoryMessages:
    """The messages of all stories that wait, are told, or were just pressed."""

    def __init__(
        self,
        channels: Channels,
        queue: Queue,
        stories: Stories,
        ratings: Ratings,
        catalogue: Catalogue,
        settings: Settings,
        pace: Pace,
    ) -> None:
        """Prepare; nothing is written before somebody wants it."""
        self._queue = queue
        self._stories = stories
        self._ratings = ratings
        self._catalogue = catalogue
        self._words_per_second = settings.words_per_second
        self._pace = pace
        self._posts = Posts(channels, stories, queue)
        self._schedule = Schedule(
            self._write,
            pace,
            interval=settings.edit_interval,
            words_per_second=settings.words_per_second,
        )
        self._messages: dict[int, StoryMessage] = {}
        self._loading: asyncio.Task[None] | None = None

    # What the dispatcher says.

    def waiting(self, places: Mapping[int, int]) -> None:
        """Say where those who wait stand: story id → place, 1 being the next."""
        for story_id, place in places.items():
            message = self._messages.get(story_id)
            if message is not None and message.placed(place):
                self._schedule.want(message, Urgency.AMBIENT)
        unknown = [story_id for story_id in places if story_id not in self._messages]
        room = KEPT - len(self._messages)
        if unknown and room > 0 and (self._loading is None or self._loading.done()):
            # They were answered by a process that is no more.
            self._loading = asyncio.create_task(self._load(unknown[:room], places), name="load")

    def began(self, story: Story) -> None:
        """The story is being told, for the first time or again."""
        self._message(story).began(story)

    def words(self, story: Story, piece: str) -> None:
        """Take some more of its text; nothing waits here.

        Raises:
            MessageGoneError: Its message was deleted: nobody will read on.
        """
        message = self._message(story)
        if message.gone:
            del self._messages[story.id]
            raise MessageGoneError(f"the message of story {story.id} was deleted")
        if (urgency := message.heard(piece, self._now)) is not None:
            self._schedule.want(message, urgency)

    def broke_off(self, story: Story) -> str:
        """The story is told no further for now; gives the words that are shown, which stay."""
        message = self._message(story)
        message.broke_off()
        self._schedule.want(message, Urgency.AMBIENT)
        return message.visible_text

    async def ended(self, story: Story) -> None:
        """Show how the story ended, and return when its last word stands in the channel.

        Raises:
            MessageGoneError: The message was deleted.
            OutOfReachError: It cannot be shown now; later it may.
        """
        message = self._message(story)
        message.ended(story)
        if message.gone:
            del self._messages[story.id]
            raise MessageGoneError(f"the message of story {story.id} was deleted")
        shown = message.shown()
        self._schedule.want(message, Urgency.LAST if message.whole else Urgency.NEXT)
        try:
            await shown
        except (MessageGoneError, OutOfReachError):
            self._messages.pop(story.id, None)
            raise

    # What commands and buttons ask and tell.

    def waits(self, story: Story, place: int | None) -> Drawing:
        """What a wish is answered with."""
        embed = embeds.waiting(story, place, down=self._catalogue.down)
        return Drawing(embed, views.unfinished(story))

    @contextmanager
    def answering(self, interaction_id: int) -> Iterator[None]:
        """Leave the message of an interaction alone while it is being answered.

        Its story may be told before Discord has acknowledged the answer; without this it would be
        looked for, not found, and posted a second time.
        """
        self._schedule.hold(interaction_id)
        try:
            yield
        finally:
            self._schedule.let_go(interaction_id)

    def answered(
        self, story: Story, message_id: int | None, token: str, place: int | None = None
    ) -> None:
        """Learn the message that a wish was answered with, and the token that may edit it."""
        message = self._message(story)
        message.token = Token(token, self._now + TOKEN_LIVES)
        message.message_id = message_id or message.message_id
        message.place = place

    def pressed(self, story: Story, pressed: discord.Message, token: str) -> None:
        """Learn a fresh token that may edit the message, from a press on it.

        It is the way where the bot is no member, or may not write any more.
        """
        message = self._message(story)
        message.message_id = pressed.id
        if message.unread:
            message.stood(embeds.told_in(story, page_of(pressed)))
        message.token = Token(token, self._now + TOKEN_LIVES)
        message.failures, message.rests_until = 0, float("-inf")

    def redraw(self, story: Story, message_id: int | None = None) -> None:
        """Write the message anew, soon: what stands wrong in it repairs itself."""
        message = self._message(story)
        message.message_id = message_id or message.message_id
        ends = message.phase is not Phase.ENDED and story.ended_at is not None
        if ends or story.removed_at is not None:
            message.ended(story)
        self._schedule.want(message, Urgency.AMBIENT)

    def freeze(self, story: Story) -> str | None:
        """Show no further words while the story is called off; gives those that are shown.

        None: its words are not being written here, so there are none to be cut.
        """
        message = self._messages.get(story.id)
        if message is None or (message.phase is Phase.ENDED and not message.is_awaited):
            return None
        message.frozen += 1
        return message.visible_text

    def thaw(self, story: Story) -> None:
        """Go on showing words, unless another press is calling the story off."""
        message = self._messages.get(story.id)
        if message is None or not message.frozen:
            return
        message.frozen -= 1
        # One that waits has no words that were held back, and may be older than the story's end.
        if not message.frozen and message.phase is not Phase.WAITING:
            self._schedule.want(message, Urgency.NEXT)

    async def close(self) -> None:
        """Write nothing more."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])
        await self._schedule.close()

    # How a message is written when its turn comes.

    async def _write(self, message: StoryMessage) -> bool:
        """Write what the message shall show now; gives whether its last word stands there."""
        token = message.live_token(self._now)
        if message.unread and message.message_id is not None:
            page = await self._posts.read(message, message.message_id, token)
            message.stood(embeds.told_in(message.story, page))
        story = message.story
        message.reveal(self._now, self._words_per_second)
        over = message.phase is Phase.ENDED and message.whole
        drawing = await self._ending(story) if over else self._draw(message)
        await self._posts.write(message, drawing, token)
        if not over or message.story is not story:
            return False  # it may have come to another end meanwhile
        await self._over(message)
        return True

    def _draw(self, message: StoryMessage) -> Drawing:
        story, text = message.story, message.visible_text
        if message.phase is Phase.WAITING:
            embed = embeds.waiting(story, message.place, text, down=self._catalogue.down)
        else:
            embed = embeds.telling(story, text)
        return Drawing(embed, views.unfinished(story))

    async def _ending(self, story: Story) -> Drawing:
        """The story with its stars as they are now, and its buttons."""
        stars = await self._ratings.stars(story.id) if story.state is State.TOLD else None
        return Drawing(embeds.ended(story, stars), views.ended(story))

    async def _over(self, message: StoryMessage) -> None:
        """Forget a message that shows its end, unless there is more to be written."""
        story = message.story
        if story.shown_at is None and not message.is_awaited:
            # A press has repaired it, before the dispatcher came to it again.
            await self._queue.shown(story.id, story.state)
        if message.urgency is None and self._messages.get(story.id) is message:
            del self._messages[story.id]

    async def _load(self, unknown: list[int], places: Mapping[int, int]) -> None:
        """Learn the messages of those who wait and were answered by another process."""
        try:
            for story in await self._stories.several(unknown):
                self._message(story)
        except SQLAlchemyError:
            _log.exception("Those who wait since before the start are not told their place")
        else:
            known = {i: place for i, place in places.items() if i in self._messages}
            self.waiting(known)

    def _message(self, story: Story) -> StoryMessage:
        message = self._messages.get(story.id)
        if message is None:
            token = self._saved_token(story)
            unread = story.message_id is not None
            message = StoryMessage(story, story.message_id, token, unread=unread)
            if story.ended_at is not None:
                message.ended(story)
            self._messages[story.id] = message
            self._trim()
        return message

    def _saved_token(self, story: Story) -> Token | None:
        """The token that the story was asked with, if Discord still takes it."""
        if story.answer_token is None or story.answer_until is None:
            return None
        left = (story.answer_until - now()).total_seconds() - MARGIN
        return Token(story.answer_token, self._now + left) if left > 0 else None

    def _trim(self) -> None:
        """Forget one that has nothing to show, and that nobody writes or waits for."""
        if len(self._messages) <= KEPT:
            return
        for story_id, message in self._messages.items():
            idle = message.urgency is None and not message.in_flight
            if idle and message.phase is not Phase.TELLING and not message.is_awaited:
                del self._messages[story_id]
                return

    @property
    def _now(self) -> float:
        return self._pace.clock.time()
