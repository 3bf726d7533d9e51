"""A story's message on Discord: found if it stands somewhere, posted if not, and edited."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

import aiohttp
import discord

from bot.database.clock import now
from bot.messages.schedule import RouteLostError
from bot.worker.presenter import MessageGoneError, OutOfReachError

if TYPE_CHECKING:
    from bot.database.queue import Queue
    from bot.database.stories import Stories
    from bot.database.tables import Story
    from bot.messages.drawing import Drawing
    from bot.messages.message import StoryMessage

_log = logging.getLogger(__name__)

GONE = UNKNOWN_CHANNEL, UNKNOWN_MESSAGE = 10003, 10008
"""Discord's codes of what was deleted; whatever else it answers may be otherwise tomorrow."""
NO_MORE = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND})
"""With which an interaction's webhook says that its token is dead, or its message not there."""
NO_CODE = 0
"""Of an answer that is not Discord's own, but of a server on the way there: it knows of nothing."""
REFUSED = 3
"""Times that a message cannot be reached before a refusal to read it is taken for the answer."""
LOOKED_THROUGH = 50
"""Messages after the interaction among which its answer is looked for."""


class Channels(Protocol):
    """What of Discord's client is needed to write messages."""

    @property
    def application_id(self) -> int | None:
        """Ours; None before the login."""

    def get_partial_messageable(
        self, channel_id: int, /, *, guild_id: int | None = None
    ) -> discord.PartialMessageable:
        """A channel to write in, without asking whether there is one."""

    def get_guild(self, guild_id: int, /) -> discord.Guild | None:
        """A server that we are a member of."""

    def webhook(self, token: str) -> discord.Webhook:
        """An interaction's own way to the message that answered it."""

    async def answer_of(self, token: str) -> int:
        """The id of the message that answered an interaction; HTTPException: there is none."""


class Posts:
    """Writes messages, through their interaction while its token lives, then as the bot."""

    def __init__(self, channels: Channels, stories: Stories, queue: Queue) -> None:
        self._channels = channels
        self._stories = stories
        self._queue = queue
        self._since = now()
        """What was asked for before may have been posted by a process that is no more."""

    async def find(self, message: StoryMessage, token: str | None) -> None:
        """Look for the message of a bot that died before it could write down which it was.

        Raises:
            OutOfReachError: It cannot be looked for now.
        """
        try:
            await self._find(message, token)
        except (aiohttp.ClientError, OSError, discord.DiscordException) as error:
            raise OutOfReachError(repr(error)) from error

    async def write(self, message: StoryMessage, drawing: Drawing, token: str | None) -> bool:
        """Bring a message up to date, or post it if it is not known.

        Gives whether the drawing stands there now. Where not, a bot that died had posted the
        message, and what stands there has to be read before it is drawn.

        Args:
            message: The story's; looked for before (`find`).
            drawing: What shall stand in it.
            token: Of an interaction, to edit it through; None: as the bot.

        Raises:
            MessageGoneError: It was deleted.
            RouteLostError: The token is good for nothing (any more).
            OutOfReachError: It cannot be written now.
        """
        if message.story.private and token is None:
            raise MessageGoneError("only its interaction could show it, and that is over")
        try:
            if message.message_id is None:
                return await self._post(message, drawing, token)
            await self.note(message)
            if token is not None:
                await self._edit_by_token(message, message.message_id, token, drawing)
            else:
                await self._edit(message.story, message.message_id, drawing)
        except (aiohttp.ClientError, OSError, discord.DiscordException) as error:
            raise OutOfReachError(repr(error)) from error
        return True

    async def note(self, message: StoryMessage) -> None:
        """Write down which message it is, where that is still to be done."""
        if message.unnoted and message.message_id is not None:
            answers = message.token is not None
            await self._queue.posted(message.story.id, message.message_id, answers=answers)
            message.unnoted = False

    async def read(
        self, message: StoryMessage, message_id: int, token: str | None
    ) -> discord.Message | None:
        """Give the message as it stands; None where it may not be read.

        Raises:
            MessageGoneError: It was deleted.
            RouteLostError: The token is good for nothing (any more).
            OutOfReachError: It cannot be read now.
        """
        try:
            if token is None:
                return await self._channel(message.story).fetch_message(message_id)
            try:
                return await self._channels.webhook(token).fetch_message(message_id)
            except discord.HTTPException as error:
                self._lose(message, token, error)
                raise
        except (aiohttp.ClientError, OSError, discord.DiscordException) as error:
            if isinstance(error, discord.NotFound) and error.code in GONE:
                return None  # whoever writes to it will hear why
            refused = isinstance(error, discord.Forbidden | discord.NotFound)
            if refused and message.failures >= REFUSED:
                return None  # that is no weather: better a word taken back than none ever shown
            raise OutOfReachError(repr(error)) from error

    async def _edit_by_token(
        self, message: StoryMessage, message_id: int, token: str, drawing: Drawing
    ) -> None:
        webhook = self._channels.webhook(token)
        try:
            await webhook.edit_message(message_id, **drawing.fields)
        except discord.HTTPException as error:
            self._lose(message, token, error)
            raise

    def _lose(self, message: StoryMessage, token: str, error: discord.HTTPException) -> None:
        """Let go of a token that is refused, if it is for good.

        Raises:
            MessageGoneError: The message was deleted.
            RouteLostError: The token is good for nothing (any more).
        """
        if error.code == UNKNOWN_MESSAGE and not self._may_look(message.story):
            raise MessageGoneError(str(error)) from error
        # Where the bot itself may not write, and for what one member alone sees, the token is the
        # one way while it lives: only what says that it is dead counts, not every refusal.
        dead = _is_no_more(error)
        has_another = self._may_look(message.story) and not message.story.private
        if is_weather(error) or not (dead or has_another):
            return
        # Or it is no answer of that interaction: the channel itself says so. A press may
        # have brought another token meanwhile.
        if message.token is not None and message.token.value == token:
            message.token = None
        raise RouteLostError(f"its interaction takes no more edits: {error}") from error

    async def _edit(self, story: Story, message_id: int, drawing: Drawing) -> None:
        message = self._channel(story).get_partial_message(message_id)
        try:
            await message.edit(**drawing.fields)
        except discord.NotFound as error:
            if error.code == UNKNOWN_MESSAGE or self._is_deleted(error, story):
                raise MessageGoneError(str(error)) from error
            raise

    async def _find(self, message: StoryMessage, token: str | None) -> None:
        story = message.story
        known = await self._stories.get(story.id)
        if known is not None and known.message_id is not None:
            message.found(known.message_id)
            return
        if story.interaction_id < 0:
            return  # nobody's interaction: a saga goes on, in a message that is always posted
        found = await self._answer_of(token) if token is not None else None
        if found is None and not story.private:
            found = await self._in_history(story)
        if found is not None:
            message.found(found)
            message.unnoted = True
            await self.note(message)

    async def _answer_of(self, token: str) -> int | None:
        try:
            return await self._channels.answer_of(token)
        except discord.HTTPException as error:
            # Only what says that there is no answer, or that the token is dead, says so: whoever
            # takes another refusal for it posts a second message.
            if not _is_no_more(error):
                raise
            return None

    async def _in_history(self, story: Story) -> int | None:
        try:
            async for message in self._channel(story).history(
                limit=LOOKED_THROUGH, after=discord.Object(story.interaction_id), oldest_first=True
            ):
                asked = message.interaction_metadata
                if asked is not None and asked.id == story.interaction_id:
                    return message.id
        except (discord.Forbidden, discord.NotFound) as error:
            may_later = error.status == HTTPStatus.FORBIDDEN and self._may_look(story)
            if may_later or error.code == NO_CODE:
                raise  # the answer may stand there: it is looked for again when we may
            # If it was deleted, posting says so.
            _log.info("No history of channel %d: %s", story.channel_id, error)
        return None

    async def _post(self, message: StoryMessage, drawing: Drawing, token: str | None) -> bool:
        """Show a story whose answer never came to stand in the channel, or that is none.

        Discord posts the same nonce once, so a crash before the message is written down posts no
        second one; what it gives back then is the first, as it was sent at that time, though more
        words may stand there by now. Where the bot may not write by itself, an interaction's token
        is the way.
        """
        story = message.story
        if token is not None and (story.private or not self._may_look(story)):
            webhook = self._channels.webhook(token)
            try:
                answer = await webhook.send(**drawing.posted, ephemeral=story.private, wait=True)
            except discord.HTTPException as error:
                self._lose(message, token, error)
                raise
            message.message_id, message.unnoted = answer.id, True
            await self.note(message)
            return True
        try:
            posted = await self._channel(story).send(
                **drawing.posted, nonce=str(story.interaction_id)
            )
        except discord.NotFound as error:
            if self._is_deleted(error, story):
                raise MessageGoneError(str(error)) from error
            raise
        if story.asked_at < self._since:
            message.found(posted.id)
        message.message_id, message.token, message.unnoted = posted.id, None, True
        await self.note(message)
        return _stands(posted, drawing)

    def _is_deleted(self, error: discord.NotFound, story: Story) -> bool:
        return error.code == UNKNOWN_CHANNEL and self._may_look(story)

    def _may_look(self, story: Story) -> bool:
        """The bot is a member there.

        Where it is not (installed by a user only, or a private channel) all is unknown to it.
        """
        return story.guild_id is not None and self._channels.get_guild(story.guild_id) is not None

    def _channel(self, story: Story) -> discord.PartialMessageable:
        return self._channels.get_partial_messageable(story.channel_id, guild_id=story.guild_id)


def _stands(posted: discord.Message, drawing: Drawing) -> bool:
    """Whether a message that was posted surely shows what was drawn; if in doubt, it does not."""
    if drawing.embed is None:
        return drawing.text is not None and posted.content == drawing.text.strip()
    (embed,) = posted.embeds or (None,)
    return (
        embed is not None
        and embed.description == drawing.embed.description
        and embed.footer.text == drawing.embed.footer.text
    )


def _is_no_more(error: discord.HTTPException) -> bool:
    return error.status in NO_MORE and error.code != NO_CODE


def is_weather(error: discord.HTTPException) -> bool:
    """Whether the same request may be taken a little later: Discord is slow, full or broken."""
    return error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status in {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.REQUEST_TIMEOUT,
    }
