"""A line to a server that can go quiet, or let the server's last words through and not its end."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class Line:
    """The way to a database that goes through here."""

    url: str
    socket: str
    """The server's."""
    ends: bool = True
    """It ends when the server ends it."""
    last_words: asyncio.Event = field(default_factory=asyncio.Event)
    """The server's came through."""
    _speaking: set[asyncio.StreamWriter] = field(default_factory=set)
    _quiet: set[asyncio.StreamWriter] = field(default_factory=set)

    def go_quiet(self) -> None:
        """Let no word through on what is open, and keep it open; what is opened later speaks."""
        self._quiet |= self._speaking
        self._speaking.clear()

    async def _connected(self, reads: asyncio.StreamReader, writes: asyncio.StreamWriter) -> None:
        server_reads, server_writes = await asyncio.open_unix_connection(self.socket)
        self._speaking |= {writes, server_writes}
        await asyncio.wait(
            [
                asyncio.create_task(self._carry(reads, server_writes)),
                asyncio.create_task(self._carry(server_reads, writes)),
            ]
        )

    async def _carry(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while words := await source.read(1 << 16):
            if to not in self._quiet:
                to.write(words)
        if to not in self._quiet and self.ends:
            to.close()
        self.last_words.set()

    def _close(self) -> None:
        for writer in self._speaking | self._quiet:
            writer.close()


@asynccontextmanager
async def line_to(url: str) -> AsyncIterator[Line]:
    """Lay a line to a server that listens on a socket in a folder."""
    at = make_url(url)
    line = Line("", f"{at.query['host']}/.s.PGSQL.5432")
    async with await asyncio.start_server(line._connected, "127.0.0.1", 0) as listening:
        host, port = listening.sockets[0].getsockname()
        through = at.set(host=host, port=port, query={})
        line.url = through.render_as_string(hide_password=False)
        yield line
        line._close()
