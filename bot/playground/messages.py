"""The messages of the channels: who wrote them, who sees them, and who is told when they change."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from bot.playground.errors import ApiError, Fault, Json
from bot.playground.layouts import numbered, parts_of
from bot.playground.limits import COMPONENTS_V2, EPHEMERAL, LOADING, MessageBody
from bot.playground.snowflakes import Snowflakes, created_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.playground.world import Channel, User, World

KEPT_IN_A_CHANNEL = 1000
"""Messages kept; the oldest leave first."""

_NONCE_KNOWN = 300.0
"""Seconds for which a message that enforces its nonce is not posted again."""

_MENTION = re.compile(r"<@!?(\d+)>")


class Change(Enum):
    """What happened to a message."""

    CREATED = "created"
    EDITED = "edited"
    DELETED = "deleted"


@dataclass(slots=True)
class Message:
    """One message; embeds, components and the rest are kept in Discord's own shape."""

    id: int
    channel_id: int
    author: User
    content: str = ""
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    mentions: list[User] = field(default_factory=list)
    mention_everyone: bool = False
    flags: int = 0
    edited: str | None = None
    nonce: str | int | None = None
    type: int = 0
    reference: Json | None = None
    interaction: Json | None = None
    """`interaction`, `interaction_metadata`, `webhook_id` and `application_id`, when it answers."""
    visible_to: int | None = None
    """The one member who sees an ephemeral message."""

    @property
    def age(self) -> float:
        """Seconds since it was posted."""
        return (datetime.now(UTC) - created_at(self.id)).total_seconds()

    def payload(self) -> Json:
        """The message as Discord sends it."""
        payload: Json = {
            "id": str(self.id),
            "type": self.type,
            "channel_id": str(self.channel_id),
            "author": self.author.payload(),
            "content": self.content,
            "embeds": self.embeds,
            "components": self.components,
            "attachments": self.attachments,
            "mentions": [user.payload() for user in self.mentions],
            "mention_roles": [],
            "mention_everyone": self.mention_everyone,
            "timestamp": created_at(self.id).isoformat(),
            "edited_timestamp": self.edited,
            "flags": self.flags,
            "pinned": False,
            "tts": False,
        }
        if self.nonce is not None:
            payload["nonce"] = self.nonce
        if self.reference is not None:
            payload["message_reference"] = self.reference
        return payload if self.interaction is None else payload | self.interaction

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it to show."""
        shown = self.components if self.flags & COMPONENTS_V2 else self.embeds
        return not (self.content.strip() or shown or self.attachments)

    def component(self, custom_id: str) -> Json | None:
        """The button or select menu with this id."""
        parts = parts_of(self.components)
        return next((part for part in parts if part.get("custom_id") == custom_id), None)


class Messages:
    """All messages, by channel and id; every change goes to the listeners, in order."""

    def __init__(
        self, world: World, snowflakes: Snowflakes, *, kept: int = KEPT_IN_A_CHANNEL
    ) -> None:
        self._world = world
        self._snowflakes = snowflakes
        self._kept = kept
        self._channels: dict[int, dict[int, Message]] = {id_: {} for id_ in world.channels}
        self.listeners: list[Callable[[Change, Message], None]] = []

    def restore(self, message: Message) -> None:
        """Put back a message of an earlier run."""
        self._channels[message.channel_id][message.id] = message
        self._world.channels[message.channel_id].last_message_id = message.id
        self._snowflakes.seen(message.id)

    def forget(self, channel_id: int, message_id: int) -> None:
        """Leave out a message of an earlier run that was deleted then."""
        self._channels[channel_id].pop(message_id, None)

    def channel(self, channel_id: int) -> Channel:
        """The channel.

        Raises:
            ApiError: there is none.
        """
        try:
            return self._world.channels[channel_id]
        except KeyError:
            raise ApiError.of(Fault.UNKNOWN_CHANNEL) from None

    def find(self, channel_id: int, message_id: int) -> Message:
        """The message, ephemeral or not.

        Raises:
            ApiError: there is none.
        """
        self.channel(channel_id)
        try:
            return self._channels[channel_id][message_id]
        except KeyError:
            raise ApiError.of(Fault.UNKNOWN_MESSAGE) from None

    def public(self, channel_id: int, message_id: int) -> Message:
        """The message, which must be one that the whole channel sees.

        Raises:
            ApiError: there is none.
        """
        message = self.find(channel_id, message_id)
        if message.visible_to is not None:
            raise ApiError.of(Fault.UNKNOWN_MESSAGE)
        return message

    def history(self, channel_id: int) -> Iterator[Message]:
        """A channel's messages that everyone sees, oldest first."""
        self.channel(channel_id)
        for message in self._channels[channel_id].values():
            if message.visible_to is None:
                yield message

    def create(
        self,
        channel_id: int,
        author: User,
        body: MessageBody,
        *,
        files: list[Json] | None = None,
        interaction: Json | None = None,
        visible_to: int | None = None,
        replies_to: Message | None = None,
        loading: bool = False,
    ) -> Message:
        """Post a message; one that enforces its nonce, and was just posted, is given back.

        Raises:
            ApiError: the channel is unknown, or there is nothing to show.
        """
        channel = self.channel(channel_id)
        if posted := self._posted(channel_id, author, body):
            return posted
        message = Message(
            self._snowflakes.next(),
            channel_id,
            author,
            attachments=files or [],
            interaction=interaction,
            visible_to=visible_to,
            nonce=body.nonce,
        )
        self._write(message, body)
        message.flags = (body.flags or 0) & ~(EPHEMERAL | LOADING)
        message.flags |= (EPHEMERAL if visible_to else 0) | (LOADING if loading else 0)
        if message.empty and not loading:
            raise ApiError.of(Fault.EMPTY_MESSAGE)
        if interaction is not None and "interaction" in interaction:
            message.type = 20  # an answer to a command
        if body.message_reference is not None and body.message_reference.message_id:
            replies_to = self.public(channel_id, snowflake(body.message_reference.message_id))
        if replies_to is not None:
            message.type = 19
            place = {"channel_id": str(channel_id), "message_id": str(replies_to.id)}
            message.reference = {"type": 0, **place}
        kept = self._channels[channel_id]
        kept[message.id] = message
        channel.last_message_id = message.id
        self._tell(Change.CREATED, message)
        if len(kept) > self._kept:
            self.delete(next(iter(kept.values())))
        return message

    def _posted(self, channel_id: int, author: User, body: MessageBody) -> Message | None:
        """The author's message of the last few minutes with the nonce that the body enforces."""
        if not body.enforce_nonce or body.nonce is None:
            return None
        for message in reversed(self._channels[channel_id].values()):
            if message.age > _NONCE_KNOWN:
                return None
            # A number and its text are one nonce.
            if message.author == author and str(message.nonce) == str(body.nonce):
                return message
        return None

    def edit(self, message: Message, body: MessageBody, *, files: list[Json] | None = None) -> None:
        """Change what the body names, and leave the rest.

        Raises:
            ApiError: the message is gone, or nothing would be left to show.
        """
        self.find(message.channel_id, message.id)
        draft = replace(message)
        if body.attachments is not None:
            kept = {str(one.id) for one in body.attachments}
            draft.attachments = [one for one in message.attachments if one["id"] in kept]
        draft.attachments = draft.attachments + (files or [])
        draft.flags |= (body.flags or 0) & COMPONENTS_V2
        self._write(draft, body)
        if draft.flags & COMPONENTS_V2 and (draft.content or draft.embeds):
            # Once a message is a layout it stays one.
            code = "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"
            raise ApiError.invalid_form([((), code, "A layout has no content and no embeds")])
        if draft.empty:
            raise ApiError.of(Fault.EMPTY_MESSAGE)
        message.flags = draft.flags
        message.content, message.mentions = draft.content, draft.mentions
        message.mention_everyone = draft.mention_everyone
        message.embeds, message.components = draft.embeds, draft.components
        message.attachments = draft.attachments
        if message.flags & LOADING:
            message.flags &= ~LOADING
        else:
            message.edited = datetime.now(UTC).isoformat()
        self._tell(Change.EDITED, message)

    def delete(self, message: Message) -> None:
        """Take a message away."""
        del self._channels[message.channel_id][message.id]
        self._tell(Change.DELETED, message)

    def _write(self, message: Message, body: MessageBody) -> None:
        given = body.model_fields_set
        if "content" in given:
            message.content = (body.content or "").strip()
            self._mention(message, body)
        if "embeds" in given:
            message.embeds = [embed.payload() for embed in body.embeds or []]
        if "components" in given:
            message.components = numbered(body.components or [])

    def _mention(self, message: Message, body: MessageBody) -> None:
        allowed = body.allowed_mentions
        named = [int(found) for found in _MENTION.findall(message.content)]
        if allowed is not None and "users" not in (allowed.parse or []):
            listed = {snowflake(id_) for id_ in allowed.users or []}
            named = [id_ for id_ in named if id_ in listed]
        members = self._world.members
        message.mentions = [members[id_].user for id_ in dict.fromkeys(named) if id_ in members]
        may_call_all = allowed is None or "everyone" in (allowed.parse or [])
        message.mention_everyone = may_call_all and "@everyone" in message.content

    def _tell(self, change: Change, message: Message) -> None:
        for listener in self.listeners:
            listener(change, message)


def snowflake(text: Any) -> int:
    """An id out of a path or a body; 0, which nothing has, when it is none."""
    text = str(text)
    return int(text) if text.isascii() and text.isdigit() else 0
