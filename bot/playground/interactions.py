"""Interactions: a member does something, and the bot has three seconds to acknowledge it.

https://discord.com/developers/docs/interactions/receiving-and-responding
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import TYPE_CHECKING

from bot.playground.attachments import LARGEST_FILE
from bot.playground.world import APPLICATION_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.playground.errors import Json
    from bot.playground.messages import Message
    from bot.playground.snowflakes import Snowflakes
    from bot.playground.world import Channel, Member, World


ENGLISH = "en-US"
_LOCALES = frozenset({
    ENGLISH, "bg", "cs", "da", "de", "el", "en-GB", "es-419", "es-ES", "fi", "fr", "hi", "hr", "hu",
    "id", "it", "ja", "ko", "lt", "nl", "no", "pl", "pt-BR", "ro", "ru", "sv-SE", "th", "tr", "uk",
    "vi", "zh-CN", "zh-TW",
})  # fmt: skip
"""Discord's."""


def locale_of(language: str | None) -> str:
    """Discord's locale for a language as browsers name it; English where Discord has none."""
    if language in _LOCALES:
        return str(language)
    primary = (language or "").split("-")[0].lower()
    return min((one for one in _LOCALES if one.split("-")[0] == primary), default=ENGLISH)


class Kind(IntEnum):
    """What the member did."""

    COMMAND = 2
    COMPONENT = 3
    AUTOCOMPLETE = 4
    MODAL_SUBMIT = 5


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
    locale: str
    """The language in which the member reads Discord."""
    message: Message | None = None
    """The message whose component was used."""
    parent: Interaction | None = None
    """The interaction that opened the modal which was submitted."""
    acknowledged: bool = False
    original: Message | None = None
    deadline: asyncio.TimerHandle | None = None

    @property
    def given_up(self) -> bool:
        """Whether the bot let the time pass."""
        return self.result.done() and not self.acknowledged

    def settle(self, result: Result) -> None:
        """Stop the clock, and tell the member who waits."""
        if self.deadline is not None:
            self.deadline.cancel()
        if not self.result.done():
            self.result.set_result(result)

    @property
    def command_name(self) -> str:
        """The command with its group and subcommand, as a message names what it answers."""
        names, options = [self.data["name"]], self.data.get("options", [])
        while options and "options" in options[0]:
            names.append(options[0]["name"])
            options = options[0]["options"]
        return " ".join(names)

    def metadata(self) -> Json:
        """What a message says of the interaction that it answers."""
        metadata: Json = {
            "id": str(self.id),
            "type": int(self.kind),
            "user": self.member.user.payload(),
            "authorizing_integration_owners": {"0": str(self.channel.guild_id)},
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
                "name": self.command_name,
                "user": self.member.user.payload(),
            }
        return marks


class Interactions:
    """The interactions whose tokens are still alive."""

    def __init__(
        self,
        world: World,
        snowflakes: Snowflakes,
        send: Callable[[str, Json], None],
        *,
        deadline: float,
        lifetime: float,
    ) -> None:
        """Tell the bot through `send`; give it `deadline` s to answer and tokens `lifetime` s."""
        self._world = world
        self._snowflakes = snowflakes
        self._send = send
        self._deadline = deadline
        self._lifetime = lifetime
        self._by_token: OrderedDict[str, Interaction] = OrderedDict()

    def start(
        self,
        kind: Kind,
        member: Member,
        channel: Channel,
        data: Json,
        *,
        locale: str = ENGLISH,
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
            locale,
            message=message,
            parent=parent,
        )
        self._forget()
        self._by_token[interaction.token] = interaction
        interaction.deadline = loop.call_later(self._deadline, self._give_up, interaction)
        self._send("INTERACTION_CREATE", self._payload(interaction))
        return interaction

    def alive(self, token: str) -> Interaction | None:
        """The interaction with this token, unless its life is over."""
        self._forget()
        return self._by_token.get(token)

    def pending(self, token: str) -> Interaction | None:
        """The interaction with this token, unless it went unanswered for too long."""
        interaction = self._by_token.get(token)
        return None if interaction is None or interaction.given_up else interaction

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
            "guild_id": str(channel.guild_id),
            "guild": {"id": str(channel.guild_id), "locale": ENGLISH, "features": []},
            "channel_id": str(channel.id),
            "channel": channel.payload() | {"permissions": permissions},
            "member": member.payload() | {"permissions": permissions},
            "token": interaction.token,
            "version": 1,
            "app_permissions": str(int(self._world.members[self._world.bot.id].permissions)),
            "locale": interaction.locale,
            "guild_locale": ENGLISH,
            "entitlements": [],
            "authorizing_integration_owners": {"0": str(channel.guild_id)},
            "context": 0,
            "attachment_size_limit": LARGEST_FILE,
        }
        if interaction.message is not None:
            payload["message"] = interaction.message.payload()
        return payload

    @staticmethod
    def _give_up(interaction: Interaction) -> None:
        interaction.settle(Result(Outcome.NO_ANSWER))

    def _forget(self) -> None:
        """Drop the tokens that are past their life; they are in order of birth."""
        oldest_alive = time.monotonic() - self._lifetime
        while self._by_token:
            first = next(iter(self._by_token))
            if self._by_token[first].born > oldest_alive:
                return
            del self._by_token[first]
