"""A member at the page's own socket: what the browser does, without a browser."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.playground import Playground

Json = dict[str, Any]


class Visitor:
    """Does things, and sees what a page is shown."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._kept: list[Json] = []
        self._nonce = 0
        self.room: Json = {}

    async def show(self, what: str, when: Callable[[Json], bool] = lambda _: True) -> Json:
        """The next thing of this kind that is shown and meets the condition."""
        for index, shown in enumerate(self._kept):
            if shown["show"] == what and when(shown):
                return self._kept.pop(index)
        while True:
            shown = await self._socket.receive_json(timeout=10)
            if shown["show"] == what and when(shown):
                return dict(shown)
            self._kept.append(shown)

    async def ask(self, **action: Any) -> Json:
        """Do something and wait for its result."""
        nonce = await self.begin(**action)
        return await self.show("result", lambda shown: shown["nonce"] == nonce)

    async def begin(self, **action: Any) -> int:
        """Do something; its result comes with the number given here."""
        self._nonce += 1
        await self._socket.send_json({**action, "nonce": self._nonce})
        return self._nonce

    async def command(self, line: str, /, **values: str) -> Json:
        """Run a slash command, given with its subcommand, and wait for its result."""
        name, *path = line.split()
        return await self.ask(do="command", command=self.id_of(name), path=path, values=values)

    def id_of(self, name: str) -> str:
        """The id of a command that is offered to this member."""
        return next(str(one["id"]) for one in self.room["commands"] if one["name"] == name)

    async def message(self, change: str, when: Callable[[Json], bool] = lambda _: True) -> Json:
        """The next message that was created, edited or deleted."""
        shown = await self.show(
            "message", lambda one: one["change"] == change and when(one["message"])
        )
        message: Json = shown["message"]
        return message

    async def enter(self, *, as_: str, in_: str = "stories") -> Json:
        """Become another member, or go to another channel."""
        await self._socket.send_json({"do": "enter", "as": as_, "in": in_})
        self._kept.clear()
        self.room = await self.show("room", lambda room: self._is(room, as_, in_))
        return self.room

    @staticmethod
    def _is(room: Json, username: str, channel: str) -> bool:
        names = {one["id"]: one["username"] for one in room["members"]}
        channels = {one["id"]: one["name"] for one in room["channels"]}
        return (names[room["me"]], channels[room["channel"]]) == (username, channel)


@asynccontextmanager
async def visiting(
    playground: Playground, as_: str = "haru", in_: str = "stories"
) -> AsyncIterator[Visitor]:
    """A visitor who has arrived."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            f"{playground.url}/live", params={"as": as_, "in": in_}, max_msg_size=0
        ) as socket,
    ):
        visitor = Visitor(socket)
        visitor.room = await visitor.show("room")
        yield visitor
