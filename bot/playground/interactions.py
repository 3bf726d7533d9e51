"""Interactions: a member does something, the bot has three seconds to answer, and then its words.

https://discord.com/developers/docs/interactions/receiving-and-responding
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from bot.playground.errors import ApiError, Fault, Json
from bot.playground.forms import Body, read
from bot.playground.limits import EPHEMERAL, LOADING, MessageBody, ModalBody, Text100
from bot.playground.world import APPLICATION_ID, GUILD_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.playground.messages import Message, Messages
    from bot.playground.snowflakes import Snowflakes
    from bot.playground.world import Channel, Member, World


class Kind(IntEnum):
    """What the member did."""

    COMMAND = 2
    COMPONENT = 3
    AUTOCOMPLETE = 4
    MODAL_SUBMIT = 5


class Callback(IntEnum):
    """How the bot acknowledges it."""

    MESSAGE = 4
    DEFERRED_MESSAGE = 5
    DEFERRED_UPDATE = 6
    UPDATE = 7
    AUTOCOMPLETE = 8
    MODAL = 9


_ALLOWED = {
    Kind.COMMAND: {Callback.MESSAGE, Callback.DEFERRED_MESSAGE, Callback.MODAL},
    Kind.COMPONENT: set(Callback) - {Callback.AUTOCOMPLETE},
    Kind.AUTOCOMPLETE: {Callback.AUTOCOMPLETE},
    Kind.MODAL_SUBMIT: set(Callback) - {Callback.AUTOCOMPLETE, Callback.MODAL},
}


class Outcome(Enum):
    """What became of an interaction, for the member who waits."""

    ANSWERED = "answered"
    CHOICES = "choices"
    MODAL = "modal"
    NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome, with the suggestions or the modal that came with it."""

    outcome: Outcome
    choices: list[Json] = field(default_factory=list)
    modal: Json | None = None


class _Choice(Body):
    name: Text100
    value: str | int | float


class _Choices(Body):
    choices: list[_Choice] = Field(default=[], max_length=25)


@dataclass(slots=True, eq=False)
class Interaction:
    """One interaction, from what the member did to the end of its token's life."""

    id: int
    token: str
    kind: Kind
    member: Member
    channel: Channel
    data: Json
    born: float
    result: asyncio.Future[Result]
    message: Message | None = None
    """The message whose component was used."""
    parent: Interaction | None = None
    """The interaction that opened the modal which was submitted."""
    acknowledged: bool = False
    original: Message | None = None
    deadline: asyncio.TimerHandle | None = None

    def metadata(self) -> Json:
        """What a message says of the interaction that it answers."""
        metadata: Json = {
            "id": str(self.id),
            "type": int(self.kind),
            "user": self.member.user.payload(),
            "authorizing_integration_owners": {"0": str(GUILD_ID)},
        }
        if self.kind is Kind.COMPONENT and self.message is not None:
            metadata["interacted_message_id"] = str(self.message.id)
        if self.kind is Kind.MODAL_SUBMIT and self.parent is not None:
            metadata["triggering_interaction_metadata"] = self.parent.metadata()
        return metadata

    def marks(self) -> Json:
        """The keys that a message carries when this interaction's webhook writes it."""
        marks: Json = {
            "application_id": str(APPLICATION_ID),
            "webhook_id": str(APPLICATION_ID),
            "interaction_metadata": self.metadata(),
        }
        if self.kind is Kind.COMMAND:
            marks["interaction"] = {
                "id": str(self.id),
                "type": int(self.kind),
                "name": self.data["name"],
                "user": self.member.user.payload(),
            }
        return marks


class Interactions:
    """The interactions whose tokens are still alive."""

    def __init__(
        self,
        world: World,
        messages: Messages,
        snowflakes: Snowflakes,
        send: Callable[[str, Json], None],
        *,
        deadline: float,
        lifetime: float,
    ) -> None:
        """Tell the bot through `send`; give it `deadline` s to answer and tokens `lifetime` s."""
        self._world = world
        self._messages = messages
        self._snowflakes = snowflakes
        self._send = send
        self._deadline = deadline
        self._lifetime = lifetime
        self._by_token: dict[str, Interaction] = {}

    def start(
        self,
        kind: Kind,
        member: Member,
        channel: Channel,
        data: Json,
        *,
        message: Message | None = None,
        parent: Interaction | None = None,
    ) -> Interaction:
        """A member does something: tell the bot and start the clock."""
        loop = asyncio.get_running_loop()
        interaction = Interaction(
            self._snowflakes.next(),
            secrets.token_urlsafe(32),
            kind,
            member,
            channel,
            data,
            time.monotonic(),
            loop.create_future(),
            message=message,
            parent=parent,
        )
        self._forget()
        self._by_token[interaction.token] = interaction
        interaction.deadline = loop.call_later(self._deadline, self._give_up, interaction)
        self._send("INTERACTION_CREATE", self._payload(interaction))
        return interaction

    def close(self) -> None:
        """Stop every clock."""
        for interaction in self._by_token.values():
            self._give_up(interaction)

    def _payload(self, interaction: Interaction) -> Json:
        member, channel = interaction.member, interaction.channel
        permissions = str(int(member.permissions))
        payload: Json = {
            "id": str(interaction.id),
            "application_id": str(APPLICATION_ID),
            "type": int(interaction.kind),
            "data": interaction.data,
            "guild_id": str(GUILD_ID),
            "guild": {"id": str(GUILD_ID), "locale": "en-US", "features": []},
            "channel_id": str(channel.id),
            "channel": channel.payload() | {"permissions": permissions},
            "member": member.payload() | {"permissions": permissions},
            "token": interaction.token,
            "version": 1,
            "app_permissions": str(int(self._world.members[self._world.bot.id].permissions)),
            "locale": "en-US",
            "guild_locale": "en-US",
            "entitlements": [],
            "authorizing_integration_owners": {"0": str(GUILD_ID)},
            "context": 0,
            "attachment_size_limit": 10_485_760,
        }
        if interaction.message is not None:
            payload["message"] = interaction.message.payload()
        return payload

    def _give_up(self, interaction: Interaction) -> None:
        if interaction.deadline is not None:
            interaction.deadline.cancel()
        if not interaction.result.done():
            interaction.result.set_result(Result(Outcome.NO_ANSWER))

    def _forget(self) -> None:
        """Drop the tokens that are past their life; they are in order of birth."""
        oldest_alive = time.monotonic() - self._lifetime
        for token, interaction in list(self._by_token.items()):
            if interaction.born > oldest_alive:
                return
            del self._by_token[token]

    # The bot's side

    def acknowledge(
        self, interaction_id: int, token: str, body: Any, files: list[Json]
    ) -> tuple[Interaction, Callback]:
        """The bot's first answer, which must come in time and once.

        Raises:
            ApiError: too late, twice, or not an answer to this kind of interaction.
        """
        interaction = self._by_token.get(token)
        late = interaction is not None and not interaction.acknowledged
        late = late and interaction is not None and interaction.result.done()
        if interaction is None or interaction.id != interaction_id or late:
            raise ApiError.of(Fault.UNKNOWN_INTERACTION)
        if interaction.acknowledged:
            raise ApiError.of(Fault.ALREADY_ACKNOWLEDGED)
        body = body if isinstance(body, dict) else {}
        callback = self._callback(interaction, body.get("type"))
        result = self._apply(interaction, callback, body.get("data") or {}, files)
        interaction.acknowledged = True
        if interaction.deadline is not None:
            interaction.deadline.cancel()
        if not interaction.result.done():
            interaction.result.set_result(result)
        return interaction, callback

    @staticmethod
    def _callback(interaction: Interaction, number: Any) -> Callback:
        allowed = _ALLOWED[interaction.kind]
        if interaction.kind is Kind.MODAL_SUBMIT and interaction.message is None:
            allowed = allowed - {Callback.DEFERRED_UPDATE, Callback.UPDATE}
        if number not in allowed:
            names = ", ".join(str(int(callback)) for callback in sorted(allowed))
            message = f"Value must be one of {{{names}}}."
            raise ApiError.invalid_form([(("type",), "BASE_TYPE_CHOICES", message)])
        return Callback(number)

    def _apply(
        self, interaction: Interaction, callback: Callback, data: Any, files: list[Json]
    ) -> Result:
        match callback:
            case Callback.MESSAGE:
                body = self._read(MessageBody, data)
                interaction.original = self._post(interaction, body, files)
            case Callback.DEFERRED_MESSAGE:
                body = self._read(MessageBody, data)
                interaction.original = self._post(interaction, body, [], loading=True)
            case Callback.DEFERRED_UPDATE:
                interaction.original = interaction.message
            case Callback.UPDATE:
                interaction.original = interaction.message
                if interaction.message is not None:
                    body = self._read(MessageBody, data)
                    self._messages.edit(interaction.message, body, files=files)
            case Callback.AUTOCOMPLETE:
                choices = self._read(_Choices, data).choices
                return Result(Outcome.CHOICES, choices=[one.model_dump() for one in choices])
            case Callback.MODAL:
                modal = self._read(ModalBody, data).model_dump(exclude_none=True)
                return Result(Outcome.MODAL, modal=modal)
        return Result(Outcome.ANSWERED)

    @staticmethod
    def _read(model: type[Any], data: Any) -> Any:
        """The callback's data; a fault in it is one under `data`."""
        try:
            return read(model, data)
        except ApiError as error:
            error.payload["errors"] = {"data": error.payload["errors"]}
            raise

    def _post(
        self,
        interaction: Interaction,
        body: MessageBody,
        files: list[Json],
        *,
        loading: bool = False,
    ) -> Message:
        hidden = bool((body.flags or 0) & EPHEMERAL)
        return self._messages.create(
            interaction.channel.id,
            self._world.bot,
            body,
            files=files,
            interaction=interaction.marks(),
            visible_to=interaction.member.user.id if hidden else None,
            replies_to=interaction.message,
            loading=loading,
        )

    def webhook(self, application_id: int, token: str) -> Interaction:
        """The interaction whose token acts as a webhook, once it is acknowledged.

        Raises:
            ApiError: there is none, or its token is dead.
        """
        self._forget()
        interaction = self._by_token.get(token)
        if interaction is None:
            raise ApiError.of(Fault.INVALID_TOKEN)
        if application_id != APPLICATION_ID or not interaction.acknowledged:
            raise ApiError.of(Fault.UNKNOWN_WEBHOOK)
        return interaction

    def follow_up(self, interaction: Interaction, body: Any, files: list[Json]) -> Message:
        """A further message; the first one after "thinking…" takes that place.

        Raises:
            ApiError: the body is wrong.
        """
        message = read(MessageBody, body)
        original = interaction.original
        if original is not None and original.flags & LOADING:
            self._messages.edit(original, message, files=files)
            return original
        return self._post(interaction, message, files)

    def written(self, interaction: Interaction, reference: str) -> Message:
        """A message that this interaction's webhook may read, edit and delete.

        Args:
            interaction: whose token the request carries.
            reference: a message id, or `@original`.

        Raises:
            ApiError: there is no such message.
        """
        if reference == "@original":
            if interaction.original is None:
                raise ApiError.of(Fault.UNKNOWN_MESSAGE)
            reference = str(interaction.original.id)
        if not reference.isdecimal():
            raise ApiError.of(Fault.UNKNOWN_MESSAGE)
        message = self._messages.find(interaction.channel.id, int(reference))
        own = (message.interaction or {}).get("interaction_metadata", {}).get("id")
        if own != str(interaction.id) and message is not interaction.original:
            raise ApiError.of(Fault.UNKNOWN_MESSAGE)
        return message
