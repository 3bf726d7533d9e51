"""The playground's gateway, which can also fail as Discord's does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.playground.gateway import Gateway
from bot.playground.sessions import Connection, Op

if TYPE_CHECKING:
    from bot.playground.errors import Json
    from bot.playground.gateway import Intent

RECONNECT = 7


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
            if connection.session is not None:
                connection.session.connection = None
                connection.session = None

    def _receive(self, connection: Connection, operation: Op, data: Any) -> None:
        if self.silent:
            return
        if operation is not Op.HEARTBEAT and connection.session is None:
            refused = self.closed or (self.forgetful and operation is Op.RESUME)
            if refused and operation in {Op.RESUME, Op.IDENTIFY}:
                invalid = {"op": Op.INVALID_SESSION, "t": None, "s": None, "d": False}
                connection.send(invalid)
                return
        super()._receive(connection, operation, data)
