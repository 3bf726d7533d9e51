"""A member at the playground's page, as a program: for measuring and for tests.

It does what the page does, over the same WebSocket, and sees what the page is shown.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.playground.errors import Json

T = TypeVar("T")


_PATIENCE = 20.0
"""Seconds until `show` gives up."""


class VisitError(Exception):
    """The page said no; the message is the sentence that a member would read there."""

    def __init__(self, sentence: str, field: str | None = None) -> None:
        super().__init__(sentence)
        self.field = field
        """The option or text field that the member must put right."""


class Visitor:
    """One open page: see `visit`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._nonces = itertools.count(1)
        self._changed = asyncio.Event()
        self._closed = False
        self._shown: deque[Json] = deque(maxlen=1000)
        self.room: Json = {}
        """Who and what was there on arrival."""
        self.messages: dict[str, Json] = {}
        """The channel's messages as they stand, by id, oldest first."""
        self.commands: dict[str, Json] = {}
        """What the bot offers this member, by name."""

    async def command(self, name: str, values: dict[str, str] | None = None, *path: str) -> None:
        """Run a command, and return when the bot has acknowledged it.

        Args:
            name: such as `story`; the bot may register it while this waits.
            values: the text of each option that is given.
            path: the names of group and subcommand.

        Raises:
            VisitError: an option is wrong, or the bot did not answer.
        """
        await self.until(lambda: name in self.commands)
        id_ = self.commands[name]["id"]
        await self.ask(do="command", command=id_, path=path, values=values or {})

    async def press(self, message_id: str, custom_id: str, *values: str) -> Json:
        """Press a button or pick from a menu; the result when the bot has acknowledged it.

        Raises:
            VisitError: the component is gone, or the bot did not answer.
        """
        return await self.ask(do="use", message=message_id, custom_id=custom_id, values=values)

    async def say(self, content: str) -> None:
        """Write a message.

        Raises:
            VisitError: it is too long or empty.
        """
        await self.ask(do="say", content=content)

    async def ask(self, **action: Any) -> Json:
        """Do what the page can do, and wait for its result.

        Raises:
            VisitError: it is refused, or the page was closed.
        """
        nonce = await self.begin(**action)
        result = await self.until(lambda: self._pop("result", lambda one: one["nonce"] == nonce))
        if result.get("error"):
            raise VisitError(result["error"], result.get("field"))
        return result

    async def begin(self, **action: Any) -> int:
        """Do something, and wait for nothing; its result will carry the number given here."""
        nonce = next(self._nonces)
        await self._socket.send_json({**action, "nonce": nonce})
        return nonce

    async def enter(self, member: str, channel: str = "stories") -> None:
        """Become another member, or go to another channel."""
        self._shown.clear()
        await self._socket.send_json({"do": "enter", "as": member, "in": channel})
        await self.show("room")

    async def show(self, what: str, when: Callable[[Json], bool] = lambda _: True) -> Json:
        """The next thing of this kind that is shown, meets the condition and was not taken yet.

        Raises:
            TimeoutError: it did not come.
            VisitError: the page was closed before.
        """
        async with asyncio.timeout(_PATIENCE):
            return await self.until(lambda: self._pop(what, when))

    async def message(self, change: str, when: Callable[[Json], bool] = lambda _: True) -> Json:
        """The next message that was created, edited or deleted, as `show`."""
        shown = await self.show(
            "message", lambda one: one["change"] == change and when(one["message"])
        )
        message: Json = shown["message"]
        return message

    async def until(self, found: Callable[[], T | None]) -> T:
        """Wait until something holds, looked at now and after each thing the page is shown.

        Raises:
            VisitError: the page was closed before.
        """
        while not (result := found()):
            if self._closed:
                raise VisitError("The page was closed.")
            self._changed.clear()
            await self._changed.wait()
        return result

    def _pop(self, what: str, when: Callable[[Json], bool]) -> Json | None:
        shown = next((one for one in self._shown if one["show"] == what and when(one)), None)
        if shown is not None:
            self._shown.remove(shown)
        return shown

    async def read(self) -> None:
        """Take what the page is shown, until it is closed."""
        try:
            async for message in self._socket:
                self._take(message.json())
                self._changed.set()
        finally:
            self._closed = True
            self._changed.set()

    def _take(self, event: Json) -> None:
        self._shown.append(event)
        match event["show"]:
            case "room":
                self.room = event
                self.messages = {message["id"]: message for message in event["messages"]}
                self.commands = {command["name"]: command for command in event["commands"]}
            case "commands":
                self.commands = {command["name"]: command for command in event["commands"]}
            case "message" if event["change"] == "deleted":
                self.messages.pop(event["message"]["id"], None)
            case "message":
                self.messages[event["message"]["id"]] = event["message"]


@asynccontextmanager
async def visit(
    address: str, member: str = "haru", channel: str = "stories"
) -> AsyncIterator[Visitor]:
    """Open the page of the playground at this address, as a member, and wait for its room."""
    place = {"as": member, "in": channel}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{address}/live", params=place, max_msg_size=0) as socket,
    ):
        visitor = Visitor(socket)
        reading = asyncio.create_task(visitor.read())
        try:
            await visitor.show("room")
            yield visitor
        finally:
            reading.cancel()
            await asyncio.wait([reading])
