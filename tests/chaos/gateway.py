"""The playground's gateway, which can also fail as Discord's does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bot.playground.gateway import Gateway
from bot.playground.sessions import Connection, Op

if TYPE_CHECKING:
    from bot.playground.errors import Json
    from bot.playground.gateway import Intent
    from bot.playground.sessions import Session

RECONNECT = 7
OVERTAKEN_WITHIN = 0.25
"""Seconds in which an event may be overtaken by the next."""


class Line(Connection):
    """A socket on which an event may be overtaken by the next, each with its own number."""

    disordered = False
    dead = False
    """It fell silent once: nothing that is said on it is answered."""
    _overtaken: Json | None = None

    def send(self, payload: Json) -> None:
        """Send a payload; of two events that follow each other the second goes first."""
        is_event = payload["op"] == Op.DISPATCH and payload["t"] not in {"READY", "RESUMED"}
        if self.disordered and is_event and self._overtaken is None:
            self._overtaken = payload
            asyncio.get_running_loop().call_later(OVERTAKEN_WITHIN, self._send_overtaken)
            return
        super().send(payload)
        self._send_overtaken()

    def _send_overtaken(self) -> None:
        if self._overtaken is not None:
            super().send(self._overtaken)
            self._overtaken = None


class TroubledGateway(Gateway):
    """Each trouble is a switch; with all of them off it is the playground's own."""

    silent = False
    """Nothing is answered and nothing is told, though the line is open."""
    forgetful = False
    """No session can be resumed."""
    closed = False
    """Every session is refused as invalid, new ones too."""
    repeating = False
    """Everything is told twice."""
    carrier = Line

    @property
    def disordered(self) -> bool:
        """Whether events overtake each other."""
        return self._disordered

    @disordered.setter
    def disordered(self, disordered: bool) -> None:
        self._disordered = disordered
        for connection in self.connections:
            self._order(connection)

    _disordered = False

    def _order(self, connection: Connection) -> None:
        assert isinstance(connection, Line)
        connection.disordered = self._disordered

    def _attach(self, connection: Connection, session: Session) -> None:
        super()._attach(connection, session)
        self._order(connection)

    @property
    def online(self) -> bool:
        """Whether as many shards are connected as there are."""
        connected = {one.shard for one in self._sessions.values() if one.connection is not None}
        return len(connected) >= self.shards

    @property
    def connections(self) -> list[Connection]:
        """The clients that are connected."""
        return list(self._connections)

    def dispatch(self, name: str, data: Json, *, intent: Intent | None = None) -> None:
        """Tell an event, perhaps twice."""
        super().dispatch(name, data, intent=intent)
        if self.repeating:
            super().dispatch(name, data, intent=intent)

    async def hang_up(self, code: int) -> None:
        """Close every connection with a code."""
        for connection in self.connections:
            await connection.socket.close(code=code)

    def cut(self) -> None:
        """End every connection without a word."""
        for connection in self.connections:
            transport = connection.socket._req.transport if connection.socket._req else None
            if transport is not None:
                transport.abort()

    def ask_to_reconnect(self) -> None:
        """Send op 7."""
        for connection in self.connections:
            connection.send({"op": RECONNECT, "t": None, "s": None, "d": None})

    def invalidate(self, *, resumable: bool) -> None:
        """Send op 9."""
        for connection in self.connections:
            connection.send({"op": Op.INVALID_SESSION, "t": None, "s": None, "d": resumable})

    def forget(self) -> None:
        """Lose every session."""
        for session in self._sessions.values():
            session.connection = None
        self._sessions.clear()

    def fall_silent(self) -> None:
        """Leave the lines open and say nothing on them any more; they are dead from then on."""
        self.silent = True
        for connection in self.connections:
            assert isinstance(connection, Line)
            connection.dead = True
            if connection.session is not None:
                connection.session.connection = None
                connection.session = None

    def _receive(self, connection: Connection, operation: Op, data: Any) -> None:
        assert isinstance(connection, Line)
        if self.silent or connection.dead:
            return
        if operation is not Op.HEARTBEAT and connection.session is None:
            refused = self.closed or (self.forgetful and operation is Op.RESUME)
            if refused and operation in {Op.RESUME, Op.IDENTIFY}:
                invalid = {"op": Op.INVALID_SESSION, "t": None, "s": None, "d": False}
                connection.send(invalid)
                return
        super()._receive(connection, operation, data)
