"""The gateway: one WebSocket for each shard of a bot, over which Discord tells what happens.

https://discord.com/developers/docs/events/gateway, version 10, JSON encoding.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections import deque
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Any

from aiohttp import WSCloseCode, WSMsgType, web

from bot.playground.messages import Change, Message
from bot.playground.sessions import CLOSE_WITHIN, Connection, Op, Session
from bot.playground.world import APPLICATION_ID, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.playground.errors import Json

_log = logging.getLogger(__name__)

_RESUMABLE_FOR = 300.0
"""Seconds after which a lost session is forgotten."""

AWAY = 0.03
"""Seconds that a heartbeat and its answer travel. discord.py writes down in a thread when it has
sent one; an answer that is there before the thread wakes would count from the heartbeat before."""


class Close(IntEnum):
    """Why the gateway hangs up."""

    UNKNOWN_OPCODE = 4001
    DECODE_ERROR = 4002
    NOT_AUTHENTICATED = 4003
    AUTHENTICATION_FAILED = 4004
    ALREADY_AUTHENTICATED = 4005
    SESSION_TIMED_OUT = 4009
    INVALID_SHARD = 4010
    INVALID_INTENTS = 4013
    DISALLOWED_INTENTS = 4014


class Intent(IntFlag):
    """The groups of events that matter here, and the privileged ones."""

    GUILDS = 1 << 0
    GUILD_MEMBERS = 1 << 1
    GUILD_PRESENCES = 1 << 8
    GUILD_MESSAGES = 1 << 9
    MESSAGE_CONTENT = 1 << 15


_PRIVILEGED = Intent.GUILD_MEMBERS | Intent.GUILD_PRESENCES | Intent.MESSAGE_CONTENT
_EVERY_INTENT = (1 << 26) - 1


class Hangup(Exception):  # noqa: N818  # it is how a connection ends, not a fault of ours
    """The gateway closes the connection, for a reason that the client is told."""

    def __init__(self, code: Close, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Gateway:
    """Every session of the bot, and the events that go to them."""

    carrier = Connection
    """What a socket becomes."""

    def __init__(
        self,
        world: World,
        *,
        token: str,
        heartbeat_interval: float,
    ) -> None:
        self._world = world
        self._token = token
        self._heartbeat_interval = heartbeat_interval
        self._sessions: dict[str, Session] = {}
        self._connections: set[Connection] = set()
        self.url = ""
        """Where clients connect; known once the server listens."""
        self.shards = 1
        """Sessions that a bot is advised to share its servers among; any number is served."""
        self.events: deque[Json] = deque(maxlen=1000)
        """What was dispatched last, for those who check it against Discord's description."""
        self.listeners: list[Callable[[], None]] = []
        """Called when the bot comes, goes, or changes its presence."""
        self.activity: str | None = None

    @property
    def online(self) -> bool:
        """Whether a bot is connected."""
        return any(session.connection is not None for session in self._sessions.values())

    # What happens

    def dispatch(self, name: str, data: Json, *, intent: Intent | None = None) -> None:
        """Tell an event of a guild to every session that asked for its kind."""
        guild_id = int(data.get("guild_id", 0))  # what has none is private: the first shard's
        for session in self._sessions.values():
            if session.serves(guild_id) and (intent is None or session.intents & intent):
                self.events.append(session.dispatch(name, data))

    def message_changed(self, change: Change, message: Message) -> None:
        """Tell what happened to a message; ephemeral ones are nobody else's business."""
        if message.visible_to is not None:
            return
        guild_id = self._world.channels[message.channel_id].guild_id
        if change is Change.DELETED:
            ids = {"id": str(message.id), "channel_id": str(message.channel_id)}
            gone = ids | {"guild_id": str(guild_id)}
            self.dispatch("MESSAGE_DELETE", gone, intent=Intent.GUILD_MESSAGES)
            return
        name = "MESSAGE_CREATE" if change is Change.CREATED else "MESSAGE_UPDATE"
        member = self._world.members[message.author.id].payload()
        del member["user"]
        data = message.payload() | {"guild_id": str(guild_id), "member": member}
        public = message.author.bot or self._world.bot in message.mentions
        for session in self._sessions.values():
            if session.serves(guild_id) and session.intents & Intent.GUILD_MESSAGES:
                seen = data
                if not public:
                    seen = data | {"content": "", "embeds": [], "components": [], "attachments": []}
                self.events.append(session.dispatch(name, seen))

    async def close(self) -> None:
        """Tell every client to go."""
        closing = [
            connection.socket.close(code=WSCloseCode.GOING_AWAY)
            for connection in list(self._connections)
        ]
        await asyncio.gather(*closing)

    # One connection

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Serve one client until it leaves."""
        socket = web.WebSocketResponse(timeout=CLOSE_WITHIN, compress=False, max_msg_size=4096 * 4)
        await socket.prepare(request)
        compressed = request.query.get("compress") == "zlib-stream"
        connection = self.carrier(socket, compressed=compressed)
        self._connections.add(connection)
        writer = asyncio.create_task(connection.write())
        interval = round(self._heartbeat_interval * 1000)
        hello = {"heartbeat_interval": interval, "_trace": ["playground"]}
        connection.send({"op": Op.HELLO, "t": None, "s": None, "d": hello})
        try:
            await self._converse(connection)
        except Hangup as hangup:
            _log.info("the gateway hangs up: %s", hangup)
            await socket.close(code=hangup.code, message=str(hangup).encode())
        finally:
            writer.cancel()
            self._connections.discard(connection)
            self._lose(connection)
        return socket

    async def _converse(self, connection: Connection) -> None:
        silence = self._heartbeat_interval * 1.5
        while True:
            try:
                message = await connection.socket.receive(timeout=silence)
            except TimeoutError:
                raise Hangup(Close.SESSION_TIMED_OUT, "Session timed out.") from None
            if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                return
            try:
                payload = json.loads(message.data)
                operation, data = Op(payload["op"]), payload.get("d")
            except (ValueError, KeyError, TypeError) as error:
                known = isinstance(error, ValueError) and "Op" in str(error)
                code = Close.UNKNOWN_OPCODE if known else Close.DECODE_ERROR
                raise Hangup(code, "Error while decoding payload.") from None
            self._receive(connection, operation, data)

    def _receive(self, connection: Connection, operation: Op, data: Any) -> None:
        match operation:
            case Op.HEARTBEAT:
                answer = {"op": Op.HEARTBEAT_ACK, "t": None, "s": None, "d": None}
                asyncio.get_running_loop().call_later(AWAY, connection.send, answer)
            case Op.IDENTIFY if connection.session is None:
                self._identify(connection, _fields(data))
            case Op.RESUME if connection.session is None:
                self._resume(connection, _fields(data))
            case Op.IDENTIFY | Op.RESUME:
                raise Hangup(Close.ALREADY_AUTHENTICATED, "Already authenticated.")
            case _ if connection.session is None:
                raise Hangup(Close.NOT_AUTHENTICATED, "Not authenticated.")
            case Op.PRESENCE_UPDATE:
                self._show_presence(_fields(data))
            case _:
                raise Hangup(Close.UNKNOWN_OPCODE, "Unknown opcode.")

    def _identify(self, connection: Connection, data: Json) -> None:
        self._authenticate(data)
        intents = data.get("intents")
        if not isinstance(intents, int) or intents & ~_EVERY_INTENT:
            raise Hangup(Close.INVALID_INTENTS, "Invalid intent(s).")
        if intents & _PRIVILEGED:
            raise Hangup(Close.DISALLOWED_INTENTS, "Disallowed intent(s).")
        session = Session(secrets.token_hex(16), intents, _shard(data.get("shard", [0, 1])))
        self._sessions[session.id] = session
        self._attach(connection, session)
        guilds = [id_ for id_ in self._world.guild_ids if session.serves(id_)]
        ready = {
            "v": 10,
            "user": self._world.bot.payload() | {"verified": True, "mfa_enabled": True},
            "guilds": [{"id": str(id_), "unavailable": True} for id_ in guilds],
            "session_id": session.id,
            "resume_gateway_url": self.url,
            "shard": list(session.shard),
            "application": {"id": str(APPLICATION_ID), "flags": 0, "flags_new": "0"},
        }
        self.events.append(session.dispatch("READY", ready))
        for guild_id in guilds if intents & Intent.GUILDS else ():
            guild = self._world.guild_create_payload(guild_id)
            self.events.append(session.dispatch("GUILD_CREATE", guild))
        if data.get("presence"):
            self._show_presence(_fields(data["presence"]))
        self._tell()

    def _resume(self, connection: Connection, data: Json) -> None:
        self._authenticate(data)
        session = self._sessions.get(data.get("session_id", ""))
        missed = data.get("seq")
        first = session.events[0]["s"] if session and session.events else 1
        if (
            session is None
            or not isinstance(missed, int)
            or not first - 1 <= missed <= session.sent
        ):
            connection.send({"op": Op.INVALID_SESSION, "t": None, "s": None, "d": False})
            return
        if session.connection is not None:
            session.connection.session = None
        self._attach(connection, session)
        for event in list(session.events):
            if event["s"] > missed:
                connection.send(event)
        self.events.append(session.dispatch("RESUMED", {"_trace": ["playground"]}))
        self._tell()

    def _authenticate(self, data: Json) -> None:
        token = str(data.get("token", "")).removeprefix("Bot ")
        if not secrets.compare_digest(token.encode(), self._token.encode()):
            raise Hangup(Close.AUTHENTICATION_FAILED, "Authentication failed.")

    def _attach(self, connection: Connection, session: Session) -> None:
        session.connection = connection
        connection.session = session
        self._expire()

    def _lose(self, connection: Connection) -> None:
        session = connection.session
        if session is None or session.connection is not connection:
            return
        session.connection = None
        session.lost_at = time.monotonic()
        if connection.socket.close_code in {WSCloseCode.OK, WSCloseCode.GOING_AWAY}:
            self._sessions.pop(session.id, None)  # the client said good-bye
        self._tell()

    def _expire(self) -> None:
        since = time.monotonic() - _RESUMABLE_FOR
        for session in list(self._sessions.values()):
            if session.connection is None and session.lost_at < since:
                del self._sessions[session.id]

    def _show_presence(self, data: Json) -> None:
        # discord.py identifies with the older `game` and updates with `activities`.
        activities = _listed(data.get("activities") or data.get("game"))
        first = activities[0] if activities and isinstance(activities[0], dict) else {}
        self.activity = first.get("state") or first.get("name")
        self._tell()

    def _tell(self) -> None:
        for listener in self.listeners:
            listener()


def _fields(data: Any) -> Json:
    if not isinstance(data, dict):
        raise Hangup(Close.DECODE_ERROR, "Error while decoding payload.")
    return data


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _shard(value: Any) -> tuple[int, int]:
    match value:
        case [int(number), int(count)] if 0 <= number < count:
            return number, count
        case _:
            raise Hangup(Close.INVALID_SHARD, "Invalid shard.")
