"""A connection to the server within its own process, where a socket would be in the way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Connection(asyncio.Transport):
    """What is asked goes in by `ask`, what is answered comes out of `pieces`, all bytes of HTTP.

    All of it is for the event loop of the server.
    """

    def __init__(self, server: asyncio.Protocol) -> None:
        """Connect.

        Args:
            server: its end, which this calls as any transport calls its protocol.
        """
        super().__init__()
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._answered = bytearray()
        self._news = asyncio.Event()
        self._closed = False
        server.connection_made(self)

    def ask(self, request: bytes) -> None:
        """Bring a whole request."""
        self._server.data_received(request)

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The answer as it comes; what comes while nobody takes it comes as one piece."""
        while await self._news.wait():
            self._news.clear()
            if self._answered:
                piece = bytes(self._answered)
                self._answered.clear()
                yield piece
            elif self._closed:
                return
            if self._closed:
                self._news.set()

    # The server's side of it.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `asyncio.WriteTransport.write`."""
        self._answered += data
        self._news.set()

    def is_closing(self) -> bool:
        """See `asyncio.BaseTransport.is_closing`."""
        return self._closed

    def close(self) -> None:
        """Either end hangs up; the server gives up what it still does for this connection."""
        if not self._closed:
            self._closed = True
            self._news.set()
            self._loop.call_soon(self._server.connection_lost, None)

    def abort(self) -> None:
        """See `asyncio.WriteTransport.abort`."""
        self.close()

    def pause_reading(self) -> None:
        """See `asyncio.ReadTransport.pause_reading`: a request comes whole, and is short."""

    def resume_reading(self) -> None:
        """See `asyncio.ReadTransport.resume_reading`."""
