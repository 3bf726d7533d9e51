"""The bot's side of an interaction: its acknowledgement, and then its token as a webhook.

https://discord.com/developers/docs/interactions/receiving-and-responding
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from bot.playground.components import Text100  # noqa: TC001  # pydantic reads it at run time
from bot.playground.errors import ApiError, Fault, Json
from bot.playground.forms import Body, read
from bot.playground.interactions import Interaction, Interactions, Kind, Outcome, Result
from bot.playground.limits import EPHEMERAL, LOADING, MessageBody, ModalBody
from bot.playground.world import APPLICATION_ID

if TYPE_CHECKING:
    from bot.playground.messages import Message, Messages
    from bot.playground.world import World


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


class _Choice(Body):
    name: Text100
    value: str | int | float


class _Choices(Body):
    choices: list[_Choice] = Field(default=[], max_length=25)


class Callbacks:
    """What the bot may do with an interaction."""

    def __init__(self, world: World, messages: Messages, interactions: Interactions) -> None:
        self._world = world
        self._messages = messages
        self._interactions = interactions

    def acknowledge(
        self, interaction_id: int, token: str, body: Any, files: list[Json]
    ) -> tuple[Interaction, Callback]:
        """The bot's first answer, which must come in time and once.

        Raises:
            ApiError: too late, twice, or not an answer to this kind of interaction.
        """
        interaction = self._interactions.pending(token)
        if interaction is None or interaction.id != interaction_id:
            raise ApiError.of(Fault.UNKNOWN_INTERACTION)
        if interaction.acknowledged:
            raise ApiError.of(Fault.ALREADY_ACKNOWLEDGED)
        body = body if isinstance(body, dict) else {}
        callback = self._callback(interaction, body.get("type"))
        result = self._apply(interaction, callback, body.get("data") or {}, files)
        interaction.acknowledged = True
        interaction.settle(result)
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
        interaction = self._interactions.alive(token)
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
