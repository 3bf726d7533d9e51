"""Every story's message: posted once, and written as its story goes; see `bot.worker.presenter`."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from bot.database.clock import now
from bot.database.wishes import TOKEN_LIFE
from bot.locales import speaking
from bot.messages.kept import Kept
from bot.messages.message import StoryMessage, Token
from bot.messages.posting import Posts
from bot.messages.schedule import Schedule
from bot.messages.telling import Phase, Urgency
from bot.worker.presenter import MessageGoneError, OutOfReachError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import discord

    from bot.config import Stories as Settings
    from bot.database.queue import Queue
    from bot.database.stories import Stories
    from bot.database.tables import Story
    from bot.messages.drawing import Artist, Drawing
    from bot.messages.pacing import Pace
    from bot.messages.posting import Channels
    from bot.messages.telling import Telling

_log = logging.getLogger(__name__)

MARGIN = 30.0
"""Seconds before its end that a token is used no more."""
TOKEN_LIVES = TOKEN_LIFE.total_seconds() - MARGIN
SURE_FOR = 8.0
"""Seconds for which this bot's stories stay its own once it was seen that they are: PostgreSQL lets
go of its shards 15 seconds after it was cut off, or later, and another bot waits three more. What
was sent within these may be on its way for as long as `bot.silence.WRITTEN_WITHIN`."""
SILENCE = 1.5
"""Seconds without a first word after which a message says that its story is being told: most have
words by then, and need no edit for it."""


class StoryMessages:
    """The messages of all stories that wait, are told, or were just pressed."""

    def __init__(
        self,
        channels: Channels,
        queue: Queue,
        stories: Stories,
        artist: Artist,
        settings: Settings,
        pace: Pace,
    ) -> None:
        """Prepare; nothing is written before somebody wants it."""
        self._queue = queue
        self._stories = stories
        self._artist = artist
        self._words_per_second = settings.words_per_second
        self._pace = pace
        self._posts = Posts(channels, stories, queue)
        self._schedule = Schedule(
            self._write,
            pace,
            interval=settings.edit_interval,
            words_per_second=settings.words_per_second,
        )
        self._kept = Kept(self._begin)
        self._loading: asyncio.Task[None] | None = None
        self._why_nobody_tells = ""
        """When those who wait were told last."""

    # What the dispatcher says.

    def waiting(self, places: Mapping[int, int]) -> None:
        """Say where those who wait stand, and why nobody tells: story id → place, 1 the next."""
        why, self._why_nobody_tells = self._why_nobody_tells, self._artist.why_nobody_tells
        all_anew = why != self._why_nobody_tells
        unknown = []
        for story_id, place in places.items():
            if (found := self._kept.find(story_id)) is None:
                unknown.append(story_id)
            elif found[1].placed(place) or all_anew:
                self._schedule.want(found[0], Urgency.AMBIENT)
        room = self._kept.room
        if unknown and room > 0 and (self._loading is None or self._loading.done()):
            # They were answered by a process that is no more.
            self._loading = asyncio.create_task(self._load(unknown[:room], places), name="load")

    def began(self, story: Story) -> None:
        """The story is being told, for the first time or again."""
        message, telling = self._kept.of(story)
        telling.began(story)

        def still_silent() -> None:
            if telling.is_silent:
                self._schedule.want(message, Urgency.AMBIENT)

        self._pace.clock.call_later(SILENCE, still_silent)

    def words(self, story: Story, piece: str) -> None:
        """Take some more of its text; nothing waits here.

        Raises:
            MessageGoneError: Its message was deleted: nobody will read on.
        """
        message, telling = self._kept.of(story)
        if message.gone:
            self._forget_gone(message)
        if (urgency := telling.heard(piece, self._now)) is not None:
            self._schedule.want(message, urgency)

    def broke_off(self, story: Story, *, keep: bool = True) -> str:
        """The story is told no further for now; gives the words that are shown, which stay.

        `keep`: False where they must not stay, since they may be unfit; none are shown then.
        """
        message, telling = self._kept.of(story)
        telling.broke_off()
        if not keep:
            telling.taken_back()
        self._schedule.want(message, Urgency.AMBIENT)
        return telling.visible_text

    def lost(self, story_id: int) -> None:
        """The story was ended, or another bot has it: no more of its words are written here."""
        found = self._kept.find(story_id)
        if found is None:
            return
        message, telling = found
        over = telling.phase is Phase.ENDED and not telling.is_awaited
        # A press here froze what it ends, and has the end shown.
        if telling.frozen or over:
            return
        if len(message.tellings) > 1:  # the others' words are still written here
            telling.broke_off()
        else:
            self._kept.forget(message)
            self._schedule.drop(message)

    def sure(self, at: float | None) -> None:
        """Write on: at that moment nobody else told what is told here; None: nobody can."""
        if at is None:
            return
        if self._schedule.until <= self._now:
            self.withdraw(lambda _: True)  # whoever waited may have been told elsewhere
        self._schedule.write_until(at + SURE_FOR)

    def withdraw(self, theirs: Callable[[int | None], bool]) -> None:
        """Draw no places any more of some servers' stories: another bot tells them from now on."""
        for message in self._kept.all():
            waits = all(telling.phase is Phase.WAITING for telling in message.tellings)
            if waits and theirs(message.story.guild_id):
                self._kept.forget(message)
                self._schedule.drop(message)

    async def ended(self, story: Story) -> None:
        """Show how the story ended, and return when its last word stands in the channel.

        Raises:
            MessageGoneError: The message was deleted.
            OutOfReachError: It cannot be shown now; later it may.
        """
        message, telling = self._kept.of(story)
        telling.ended(story)
        if message.gone:
            self._forget_gone(message)
        saved, shown = story.text, telling.shown()
        self._schedule.want(message, Urgency.LAST if telling.whole else Urgency.NEXT)
        try:
            await shown
        except (MessageGoneError, OutOfReachError):
            self._kept.forget(message)
            raise
        if story.text != saved:
            await self._queue.stood(story.id, story.text)

    # What commands and buttons ask and tell.

    async def waits(self, stories: Sequence[Story]) -> Drawing:
        """What the wishes of an interaction are answered with."""
        message, _ = self._kept.of(stories[0])
        for story in stories:
            self._kept.of(story)
        message.complete = True
        with speaking(message.story.language):
            return await self._artist.draw(message)

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
        message, telling = self._kept.of(story)
        message.token = Token(token, self._now + TOKEN_LIVES)
        if message_id is not None:
            message.message_id, message.unnoted = message_id, True
        telling.place = place or telling.place

    async def note(self, story: Story) -> None:
        """Write down which message answers its wish; if that fails, its next edit does."""
        message, _ = self._kept.of(story)
        await self._posts.note(message)

    def pressed(self, story: Story, pressed: discord.Message, token: str) -> None:
        """Learn a fresh token that may edit the message, from a press on it.

        It is the way where the bot is no member, or may not write any more.
        """
        message, _ = self._kept.of(story)
        message.message_id = pressed.id
        with speaking(story.language):
            self._artist.read(message, pressed)
        message.token = Token(token, self._now + TOKEN_LIVES)
        message.failures, message.rests_until = 0, float("-inf")

    def redraw(
        self, story: Story, message_id: int | None = None, *, line_outdated: bool = False
    ) -> None:
        """Write the message anew, soon: what stands wrong in it repairs itself.

        Args:
            story: One of its stories.
            message_id: Where it stands, if the story's row does not say it.
            line_outdated: What stands above the story is written anew, too.
        """
        message, telling = self._kept.of(story)
        message.message_id = message_id or message.message_id
        message.line_outdated |= line_outdated
        if story.ended_at is not None:
            if telling.phase is not Phase.ENDED:
                telling.ended(story)
            elif line_outdated:
                telling.changed(story)
        self._schedule.want(message, Urgency.AMBIENT)

    def freeze(self, story: Story) -> str | None:
        """Show no further words while the story is called off; gives those that are shown.

        None: its words are not being written here, so there are none to be cut.
        """
        found = self._kept.find(story.id)
        if found is None or (found[1].phase is Phase.ENDED and not found[1].is_awaited):
            return None
        found[1].frozen += 1
        return found[1].visible_text

    def thaw(self, story: Story) -> None:
        """Go on showing words, unless another press is calling the story off."""
        found = self._kept.find(story.id)
        if found is None or not found[1].frozen:
            return
        message, telling = found
        telling.frozen -= 1
        # One that waits has no words that were held back, and may be older than the story's end.
        if not telling.frozen and telling.phase is not Phase.WAITING:
            self._schedule.want(message, Urgency.NEXT)

    async def close(self) -> None:
        """Write nothing more."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])
        await self._schedule.close()

    # How a message is written when its turn comes.

    async def _write(self, message: StoryMessage) -> list[Telling]:
        """Write what the message shall show now; gives whose last word stands there then."""
        if not message.complete:
            for story in await self._stories.together(message.story.interaction_id):
                self._kept.of(story)
            message.complete = True
        if message.message_id is None:
            await self._posts.find(message, message.live_token(self._now))
        with speaking(message.story.language):
            stands = False
            while not stands:  # at most twice: a message that a dead bot had posted is known then
                token = message.live_token(self._now)
                if message.unread and message.message_id is not None:
                    found = await self._posts.read(message, message.message_id, token)
                    self._artist.read(message, found)
                message.reveal(self._now, self._words_per_second)
                ends = [(one, one.story) for one in message.tellings if one.is_over]
                drawing = await self._artist.draw(message)
                stands = await self._posts.write(message, drawing, token)
        # One may have come to another end meanwhile.
        over = [telling for telling, story in ends if telling.story is story]
        for telling in over:
            await self._over(telling)
        if len(over) == len(message.tellings) and message.urgency is None:
            self._kept.forget(message)
        return over

    async def _over(self, telling: Telling) -> None:
        """Note an end that is shown, and that nobody waits for: a press has repaired it."""
        story = telling.story
        if story.shown_at is None and not telling.is_awaited:
            await self._queue.shown(story.id, story.state)

    async def _load(self, unknown: list[int], places: Mapping[int, int]) -> None:
        """Learn the messages of those who wait and were answered by another process."""
        try:
            for story in await self._stories.several(unknown):
                self._kept.of(story)
        except (SQLAlchemyError, OSError):
            _log.exception("Those who wait since before the start are not told their place")
        else:
            known = {i: place for i, place in places.items() if self._kept.find(i) is not None}
            self.waiting(known)

    def _begin(self, story: Story) -> StoryMessage:
        message = StoryMessage.of(
            story, message_id=story.message_id, token=self._saved_token(story)
        )
        message.complete = not message.shows_several
        return message

    def _saved_token(self, story: Story) -> Token | None:
        """The token that the story was asked with, if Discord still takes it."""
        if story.answer_token is None or story.answer_until is None:
            return None
        left = (story.answer_until - now()).total_seconds() - MARGIN
        return Token(story.answer_token, self._now + left) if left > 0 else None

    def _forget_gone(self, message: StoryMessage) -> None:
        self._kept.forget(message)
        raise MessageGoneError(f"the message of story {message.story.id} was deleted")

    @property
    def _now(self) -> float:
        return self._pace.clock.time()
