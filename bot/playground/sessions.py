"""A bot's session on the gateway, and the socket that carries it for a while."""

from __future__ import annotations

import asyncio
import json
import logging
import zlib
from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from aiohttp import WSCloseCode

if TYPE_CHECKING:
    from aiohttp import web

    from bot.playground.errors import Json

_log = logging.getLogger(__name__)

CLOSE_WITHIN = 1.0
"""Seconds that a client has to answer when its socket is closed."""
_REPLAYED = 1000
"""Events kept for a session that comes back."""
_UNREAD = 5000
"""Events that a client may leave unread before it is dropped."""


class Op(IntEnum):
    """What a gateway payload is."""

    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    PRESENCE_UPDATE = 3
    RESUME = 6
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11


@dataclass(slots=True, eq=False)
class Session:
    """A bot's session: it outlives the socket, so that a client can resume it."""

    id: str
    intents: int
    shard: tuple[int, int]
    sent: int = 0
    events: deque[Json] = field(default_factory=lambda: deque(maxlen=_REPLAYED))
    connection: Connection | None = None
    lost_at: float = 0.0

    def serves(self, guild_id: int) -> bool:
        """Whether the guild's events belong to this session's shard."""
        return (guild_id >> 22) % self.shard[1] == self.shard[0]

    def dispatch(self, name: str, data: Json) -> Json:
        """Send an event, and keep it in case the client comes back for it."""
        self.sent += 1
        event = {"op": Op.DISPATCH, "t": name, "s": self.sent, "d": data}
        self.events.append(event)
        if self.connection is not None:
            self.connection.send(event)
        return event


class Connection:
    """One socket: what is sent leaves in order, compressed as the client asked."""

    def __init__(self, socket: web.WebSocketResponse, *, compressed: bool) -> None:
        self.socket = socket
        self._deflate = zlib.compressobj() if compressed else None
        self._outbox: asyncio.Queue[Json] = asyncio.Queue(_UNREAD)
        self.session: Session | None = None
        self.behind = False

    def send(self, payload: Json) -> None:
        """Queue a payload."""
        try:
            self._outbox.put_nowait(payload)
        except asyncio.QueueFull:
            self.behind = True

    async def write(self) -> None:
        """Send what is queued, until cancelled; hang up on a client that reads too slowly."""
        while not self.behind:
            text = json.dumps(await self._outbox.get())
            if self._deflate is None:
                await self.socket.send_str(text)
            else:
                data = self._deflate.compress(text.encode())
                await self.socket.send_bytes(data + self._deflate.flush(zlib.Z_SYNC_FLUSH))
        _log.warning("a gateway client read too slowly and is dropped")
        await self.socket.close(code=WSCloseCode.TRY_AGAIN_LATER)
