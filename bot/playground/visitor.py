"""A member at the playground's page, as a program: for measuring and for tests.

It does what the page does, over the same WebSocket, and sees what the page is shown.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.playground.errors import Json

T = TypeVar("T")


class VisitError(Exception):
    """The page said no; the message is the sentence that a member would read there."""


class Visitor:
    """One open page: see `visit`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._nonces = itertools.count(1)
        self._results: dict[int, asyncio.Future[Json]] = {}
        self._changed = asyncio.Event()
        self._closed = False
        self.messages: dict[str, Json] = {}
        """The channel's messages as they stand, by id, oldest first."""
        self.commands: dict[str, Json] = {}
        """What the bot offers this member, by name."""

    async def command(self, name: str, values: dict[str, str], *path: str) -> None:
        """Run a command, and return when the bot has acknowledged it.

        Args:
            name: such as `story`; the bot may register it while this waits.
            values: the text of each option that is given.
            path: the names of group and subcommand.

        Raises:
            VisitError: an option is wrong, or the bot did not answer.
        """
        await self.until(lambda: name in self.commands)
        command = self.commands[name]["id"]
        await self._do({"do": "command", "command": command, "path": path, "values": values})

    async def press(self, message_id: str, custom_id: str) -> None:
        """Press a button, and return when the bot has acknowledged it.

        Raises:
            VisitError: the button is gone, or the bot did not answer.
        """
        await self._do({"do": "use", "message": message_id, "custom_id": custom_id})

    async def until(self, found: Callable[[], T]) -> T:
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

    async def _do(self, action: Json) -> None:
        nonce = next(self._nonces)
        self._results[nonce] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send_json({**action, "nonce": nonce})
            await self.until(self._results[nonce].done)
            result = self._results[nonce].result()
        finally:
            del self._results[nonce]
        if result.get("error"):
            raise VisitError(result["error"])

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
        match event["show"]:
            case "room":
                self.messages = {message["id"]: message for message in event["messages"]}
                self.commands = {command["name"]: command for command in event["commands"]}
            case "commands":
                self.commands = {command["name"]: command for command in event["commands"]}
            case "message" if event["change"] == "deleted":
                self.messages.pop(event["message"]["id"], None)
            case "message":
                self.messages[event["message"]["id"]] = event["message"]
            case "result" if event["nonce"] in self._results:
                self._results[event["nonce"]].set_result(event)


@asynccontextmanager
async def visit(address: str, member: str) -> AsyncIterator[Visitor]:
    """Open the page of the playground at this address as a member."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{address}/live", params={"as": member}, max_msg_size=0) as socket,
    ):
        visitor = Visitor(socket)
        reading = asyncio.create_task(visitor.read())
        try:
            yield visitor
        finally:
            reading.cancel()
            await asyncio.wait([reading])
