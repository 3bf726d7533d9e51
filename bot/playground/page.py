"""The page: its files, and what every open browser is shown.

One WebSocket for each open page. It says `{"do": …}`, and is told `{"show": …}`.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import WSCloseCode, WSMsgType, web

from bot.playground.actions import NOT_UNDERSTOOD, Viewer
from bot.playground.interactions import locale_of
from bot.playground.sessions import CLOSE_WITHIN
from bot.playground.world import Permission

if TYPE_CHECKING:
    from bot.playground.actions import Actions
    from bot.playground.commands import Commands
    from bot.playground.errors import Json
    from bot.playground.gateway import Gateway
    from bot.playground.messages import Change, Message, Messages
    from bot.playground.world import Channel, Member, World

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


class Page:
    """The web page of the playground."""

    def __init__(
        self,
        world: World,
        messages: Messages,
        commands: Commands,
        gateway: Gateway,
        actions: Actions,
    ) -> None:
        self._world = world
        self._messages = messages
        self._commands = commands
        self._gateway = gateway
        self._actions = actions
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
        """Everything at once: on arrival, and after a change of member or channel.

        Ephemeral messages are known only to the page that saw them come, as with Discord.
        """
        members = [
            {
                "id": str(member.user.id),
                "username": member.user.username,
                "name": member.user.name,
                "color": member.user.color,
                "bot": member.user.bot,
                "moderator": member.may(Permission.MANAGE_GUILD),
                "host": member.user == self._world.owner,
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
            messages=[message.payload() for message in self._messages.history(viewer.channel.id)],
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
            locale_of(request.query.get("speak")),
        )
        self._viewers.add(viewer)
        writer = asyncio.create_task(viewer.write())
        self._room(viewer)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._take(viewer, message.data)
        finally:
            self._viewers.discard(viewer)
            writer.cancel()
            viewer.leave()
        return socket

    def _player(self, username: Any) -> Member:
        players = self._world.players
        return next((one for one in players if one.user.username == username), players[0])

    def _place(self, name: Any) -> Channel:
        channels = list(self._world.channels.values())
        return next((one for one in channels if one.name == name), channels[0])

    def _take(self, viewer: Viewer, text: str) -> None:
        try:
            action = json.loads(text)
            if action["do"] != "enter":
                return viewer.begin(self._actions.do(viewer, action))
            viewer.member, viewer.channel = self._player(action["as"]), self._place(action["in"])
        except (ValueError, KeyError, TypeError):
            return viewer.show("result", nonce=None, error=NOT_UNDERSTOOD)
        return self._room(viewer)
