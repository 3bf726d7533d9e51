"""The page's side: what a member does in the browser, and what every browser is shown.

One WebSocket for each open page. It says `{"do": …}`, and is told `{"show": …}`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import WSCloseCode, WSMsgType, web

from bot.playground import composing
from bot.playground.composing import InputError
from bot.playground.errors import ApiError, Json
from bot.playground.forms import read
from bot.playground.interactions import Interaction, Kind, Outcome
from bot.playground.limits import MessageBody
from bot.playground.messages import Change, Message, snowflake
from bot.playground.sessions import CLOSE_WITHIN
from bot.playground.world import Permission

if TYPE_CHECKING:
    from bot.playground.commands import Commands
    from bot.playground.gateway import Gateway
    from bot.playground.interactions import Interactions
    from bot.playground.messages import Messages
    from bot.playground.world import Channel, Member, World

_log = logging.getLogger(__name__)

_STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
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
    outbox: asyncio.Queue[Json] = field(default_factory=lambda: asyncio.Queue(_UNREAD))
    modals: dict[str, Interaction] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def show(self, what: str, **fields: Any) -> None:
        """Queue something to show."""
        try:
            self.outbox.put_nowait({"show": what, **fields})
        except asyncio.QueueFull:
            _log.warning("a page reads too slowly and misses something")

    async def write(self) -> None:
        """Send what is queued, until cancelled."""
        while not self.socket.closed:
            await self.socket.send_str(json.dumps(await self.outbox.get()))


class Page:
    """The web page of the playground."""

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
        self._viewers: set[Viewer] = set()
        messages.listeners.append(self._message_changed)
        commands.listeners.append(self._commands_changed)
        gateway.listeners.append(self._bot_changed)

    def routes(self) -> list[web.RouteDef]:
        """The page, its files, and its socket."""
        return [
            web.get("/", self._file),
            web.get("/static/{name}", self._file),
            web.get("/live", self._live),
        ]

    async def close(self) -> None:
        """Let every page go; they come back by themselves."""
        closing = [viewer.socket.close(code=WSCloseCode.GOING_AWAY) for viewer in self._viewers]
        await asyncio.gather(*closing)

    def typing(self, channel_id: int) -> None:
        """Show that the bot types."""
        for viewer in self._viewers:
            if viewer.channel.id == channel_id:
                viewer.show("typing")

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info.get("name", "index.html")
        path = _STATIC / name
        if Path(name).name != name or path.suffix not in _TYPES or not path.is_file():
            raise web.HTTPNotFound
        body = await asyncio.to_thread(path.read_bytes)
        kind = _TYPES[path.suffix]
        return web.Response(body=body, content_type=kind, charset="utf-8", headers=_HEADERS)

    # What is shown

    def _room(self, viewer: Viewer) -> None:
        """Everything at once: on arrival, and after a change of member or channel."""
        members = [
            {
                "id": str(member.user.id),
                "username": member.user.username,
                "name": member.user.name,
                "color": member.user.color,
                "bot": member.user.bot,
                "moderator": member.may(Permission.MANAGE_GUILD),
                "player": member in self._world.players,
            }
            for member in self._world.members.values()
        ]
        viewer.show(
            "room",
            guild=self._world.name,
            me=str(viewer.member.user.id),
            members=members,
            roles=[{"id": str(r.id), "name": r.name} for r in self._world.roles.values()],
            channels=[channel.payload() for channel in self._world.channels.values()],
            channel=str(viewer.channel.id),
            commands=self._commands.shown_to(viewer.member),
            messages=[
                message.payload()
                for message in self._messages.seen_by(viewer.channel.id, viewer.member.user.id)
            ],
            **self._bot(),
        )

    def _bot(self) -> Json:
        return {"online": self._gateway.online, "activity": self._gateway.activity}

    def _message_changed(self, change: Change, message: Message) -> None:
        for viewer in self._viewers:
            here = viewer.channel.id == message.channel_id
            if here and message.visible_to in {None, viewer.member.user.id}:
                viewer.show("message", change=change.value, message=message.payload())

    def _commands_changed(self) -> None:
        for viewer in self._viewers:
            viewer.show("commands", commands=self._commands.shown_to(viewer.member))

    def _bot_changed(self) -> None:
        for viewer in self._viewers:
            viewer.show("bot", **self._bot())

    # What is done

    async def _live(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(timeout=CLOSE_WITHIN, heartbeat=20, max_msg_size=65_536)
        await socket.prepare(request)
        viewer = Viewer(
            socket,
            self._player(request.query.get("as")),
            self._place(request.query.get("in")),
        )
        self._viewers.add(viewer)
        writer = asyncio.create_task(viewer.write())
        self._room(viewer)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._begin(viewer, message.data)
        finally:
            self._viewers.discard(viewer)
            writer.cancel()
            for task in viewer.tasks:
                task.cancel()
        return socket

    def _player(self, username: Any) -> Member:
        players = self._world.players
        return next((one for one in players if one.user.username == username), players[0])

    def _place(self, name: Any) -> Channel:
        channels = list(self._world.channels.values())
        return next((one for one in channels if one.name == name), channels[0])

    def _begin(self, viewer: Viewer, text: str) -> None:
        task = asyncio.create_task(self._do(viewer, text))
        viewer.tasks.add(task)
        task.add_done_callback(viewer.tasks.discard)

    async def _do(self, viewer: Viewer, text: str) -> None:
        nonce = None
        try:
            action = json.loads(text)
            nonce = action.get("nonce")
            await self._act(viewer, action, nonce)
        except InputError as error:
            viewer.show("result", nonce=nonce, error=str(error), field=error.field)
        except ApiError as error:
            viewer.show("result", nonce=nonce, error=str(error))
        except (ValueError, KeyError, TypeError, AttributeError):
            _log.exception("the page asked for something odd")
            viewer.show("result", nonce=nonce, error="The playground did not understand.")

    async def _act(self, viewer: Viewer, action: Json, nonce: Any) -> None:
        match action["do"]:
            case "enter":
                viewer.member = self._player(action["as"])
                viewer.channel = self._place(action["in"])
                self._room(viewer)
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
        return self._interactions.start(kind, viewer.member, viewer.channel, data, message=message)

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
            message=opened.message,
            parent=opened,
        )
        await self._report(viewer, nonce, interaction)
        del viewer.modals[action["modal"]]

    async def _report(self, viewer: Viewer, nonce: Any, interaction: Interaction) -> None:
        """Wait for the bot's acknowledgement, and show what it was."""
        started = time.monotonic()
        result = await interaction.result
        waited = round((time.monotonic() - started) * 1000)
        match result.outcome:
            case Outcome.ANSWERED:
                viewer.show("result", nonce=nonce, milliseconds=waited)
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
