"""What a member does on the page, from writing a message to submitting a form."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.playground import composing
from bot.playground.composing import InputError
from bot.playground.errors import ApiError, Json
from bot.playground.forms import read
from bot.playground.interactions import Interaction, Kind, Outcome
from bot.playground.limits import MessageBody
from bot.playground.messages import Message, snowflake
from bot.playground.world import Permission

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from aiohttp import web

    from bot.playground.commands import Commands
    from bot.playground.gateway import Gateway
    from bot.playground.interactions import Interactions
    from bot.playground.messages import Messages
    from bot.playground.world import Channel, Member, World

_log = logging.getLogger(__name__)

NOT_UNDERSTOOD = "The playground did not understand."
_NO_ANSWER = "The application did not respond"
_UNREAD = 2000
_MODALS = 20
"""Modals that one page may leave unanswered."""


@dataclass(slots=True, eq=False)
class Viewer:
    """One open page: who looks, and where."""

    socket: web.WebSocketResponse
    member: Member
    channel: Channel
    locale: str
    """The language in which they read Discord."""
    outbox: asyncio.Queue[Json] = field(default_factory=lambda: asyncio.Queue(_UNREAD))
    modals: dict[str, Interaction] = field(default_factory=dict)
    behind: bool = False
    """It reads too slowly; it is sent away, and sees everything when it comes back."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def show(self, what: str, **fields: Any) -> None:
        """Queue something to show."""
        try:
            self.outbox.put_nowait({"show": what, **fields})
        except asyncio.QueueFull:
            self.behind = True

    async def write(self) -> None:
        """Send what is queued, until cancelled."""
        while not self.behind:
            await self.socket.send_str(json.dumps(await self.outbox.get()))
        await self.socket.close()

    def begin(self, action: Coroutine[None, None, None]) -> None:
        """See an action through beside the others."""
        task = asyncio.create_task(action)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def leave(self) -> None:
        """Give up what was begun."""
        for task in self._tasks:
            task.cancel()


class Actions:
    """Does what the pages ask; each is told its result."""

    def __init__(
        self,
        world: World,
        messages: Messages,
        commands: Commands,
        interactions: Interactions,
        gateway: Gateway,
    ) -> None:
        self._world = world
        self._messages = messages
        self._commands = commands
        self._interactions = interactions
        self._gateway = gateway

    async def do(self, viewer: Viewer, action: Json) -> None:
        """Take one thing that a page says, and see it through."""
        nonce = action.get("nonce")
        try:
            await self._act(viewer, action, nonce)
        except InputError as error:
            viewer.show("result", nonce=nonce, error=str(error), field=error.field)
        except ApiError as error:
            viewer.show("result", nonce=nonce, error=str(error))
        except (ValueError, KeyError, TypeError, AttributeError):
            _log.exception("the page asked for something odd")
            viewer.show("result", nonce=nonce, error=NOT_UNDERSTOOD)

    async def _act(self, viewer: Viewer, action: Json, nonce: Any) -> None:
        match action["do"]:
            case "say":
                body = read(MessageBody, {"content": action["content"]})
                self._messages.create(viewer.channel.id, viewer.member.user, body)
                viewer.show("result", nonce=nonce)
            case "delete":
                self._delete(viewer, self._message(viewer, action))
                viewer.show("result", nonce=nonce)
            case "command":
                await self._report(viewer, nonce, self._command(viewer, action))
            case "suggest":
                command, path, values = _filled(self._usable(viewer, action["command"]), action)
                data = composing.autocomplete_data(command, path, values, action["focus"])
                await self._report(viewer, nonce, self._start(viewer, Kind.AUTOCOMPLETE, data))
            case "use":
                message = self._message(viewer, action)
                component = message.component(action["custom_id"])
                if component is None:
                    raise InputError("This is no longer there.")
                data = composing.component_data(self._world, component, action.get("values", []))
                started = self._start(viewer, Kind.COMPONENT, data, message=message)
                await self._report(viewer, nonce, started)
            case "submit":
                await self._submit(viewer, action, nonce)
            case unknown:
                raise ValueError(unknown)

    def _command(self, viewer: Viewer, action: Json) -> Interaction:
        command = self._usable(viewer, action["command"])
        if command["type"] == composing.MESSAGE_COMMAND:
            data = composing.context_data(command, self._message(viewer, action))
        elif command["type"] == composing.USER_COMMAND:
            target = composing.find_member(self._world, action["member"])
            data = composing.context_data(command, target)
        else:
            command, path, values = _filled(command, action)
            data = composing.command_data(self._world, command, path, values)
        return self._start(viewer, Kind.COMMAND, data)

    def _usable(self, viewer: Viewer, command_id: Any) -> Json:
        offered = self._commands.shown_to(viewer.member)
        command = next((one for one in offered if one["id"] == command_id), None)
        if command is None:
            raise InputError("This command is not offered to you.")
        return command

    def _start(
        self, viewer: Viewer, kind: Kind, data: Json, message: Message | None = None
    ) -> Interaction:
        if not self._gateway.online:
            raise InputError("No bot is connected, so nobody can answer.")
        return self._interactions.start(
            kind, viewer.member, viewer.channel, data, locale=viewer.locale, message=message
        )

    async def _submit(self, viewer: Viewer, action: Json, nonce: Any) -> None:
        opened = viewer.modals.get(action["modal"])
        if opened is None:
            raise InputError("This form is too old; open it again.")
        modal = opened.result.result().modal or {}
        data = composing.modal_data(self._world, modal, action["values"])
        interaction = self._interactions.start(
            Kind.MODAL_SUBMIT,
            viewer.member,
            viewer.channel,
            data,
            locale=viewer.locale,
            message=opened.message,
            parent=opened,
        )
        await self._report(viewer, nonce, interaction)
        del viewer.modals[action["modal"]]

    async def _report(self, viewer: Viewer, nonce: Any, interaction: Interaction) -> None:
        """Wait for the bot's acknowledgement, and show what it was."""
        result = await interaction.result
        match result.outcome:
            case Outcome.ANSWERED:
                viewer.show("result", nonce=nonce)
            case Outcome.CHOICES:
                viewer.show("result", nonce=nonce, choices=result.choices)
            case Outcome.MODAL:
                viewer.modals[interaction.token] = interaction
                while len(viewer.modals) > _MODALS:
                    del viewer.modals[next(iter(viewer.modals))]
                viewer.show("result", nonce=nonce, modal=result.modal, opened=interaction.token)
            case Outcome.NO_ANSWER:
                viewer.show("result", nonce=nonce, error=_NO_ANSWER)

    def _message(self, viewer: Viewer, action: Json) -> Message:
        message = self._messages.find(viewer.channel.id, snowflake(action["message"]))
        if message.visible_to not in {None, viewer.member.user.id}:
            raise InputError("This message is not there.")
        return message

    def _delete(self, viewer: Viewer, message: Message) -> None:
        """Dismiss an ephemeral message; delete one's own, or any as a moderator."""
        own = message.author.id == viewer.member.user.id
        moderates = viewer.member.may(Permission.MANAGE_MESSAGES)
        if message.visible_to is None and not (own or moderates):
            raise InputError("Only a moderator may delete the messages of others.")
        self._messages.delete(message)


def _filled(command: Json, action: Json) -> tuple[Json, list[str], dict[str, str]]:
    path = [str(name) for name in action.get("path", [])]
    values = {str(name): str(value) for name, value in action.get("values", {}).items()}
    return command, path, values
