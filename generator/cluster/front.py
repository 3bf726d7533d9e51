"""The door of a cluster: each request goes to the replica that has its model and a short line."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector
from ray.exceptions import RayError
from ray.serve.exceptions import DeploymentUnavailableError
from yarl import URL

from generator.cluster.merging import Answer, merged
from generator.engine.errors import ClosedError
from generator.server.door import may_enter
from generator.server.errors import ApiError, refusal
from generator.server.log import REFERENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aiohttp import ClientResponse
    from ray.serve.handle import DeploymentHandle, DeploymentResponseGenerator

    from generator.config import EngineSettings

log = logging.getLogger(__name__)
_FOUND_WITHIN = 1.0
"""Seconds that replicas have to say where they are; who does not say it is where it was before."""
_PATIENCE = 3.0
"""Seconds that each has to say how it is."""
_REACHED_WITHIN = 5.0
"""Seconds until a connection to a replica is there."""
_LONGEST_NAME = 256
_READ = ("Authorization", "Content-Encoding", "Content-Type", "Host", "Origin", REFERENCE)
"""Headers that a replica's server reads."""
_OWN = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}
"""Headers that each connection says for itself."""
_NONE = "No replica is there to answer; ask again in a moment."
_LOST = "The replica that was to answer is gone; ask again."


class Front:
    """It looks for keys and the model's name, and passes on what is said."""

    def __init__(self, replicas: DeploymentHandle, settings: EngineSettings) -> None:
        """Keep where to.

        Args:
            replicas: of `generator.cluster.replica.Replica`.
            settings: whom to answer, and how long a request may be.
        """
        self._replicas = replicas
        self._keys = settings.bearer_keys()
        self._body_limit = settings.body_limit
        self._http: ClientSession | None = None
        self._known: dict[str, str] = {}
        """Addresses by replica, as they were last heard."""

    async def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: AsyncIterator[bytes]
    ) -> Reply:
        """Answer a request, in the words of `generator.server`.

        Args:
            method: of HTTP.
            target: path and query, percent-encoded.
            headers: found by their names in any case.
            body: as it comes; read only if its sender is let in.
        """
        try:
            path = target.partition("?")[0]
            may_enter(self._keys, unquote(path), headers)
            said = {name: given for name in _READ if (given := headers.get(name, ""))}
            readable = {name: given for name, given in said.items() if given.isprintable()}
            request = _Request(method, path, target, readable, await self._read(body))
            match method, *path.split("/")[1:]:
                case ("GET", "health" | "metrics") | ("GET", "v1", "models", *_):
                    return await self._ask_all(request, patience=_PATIENCE)
                case ("POST", "v1", "models", _, "unload"):  # which waits for stories to end
                    return await self._ask_all(request, patience=None)
                case _:
                    return await self._ask_one(request)
        except ApiError as error:
            again = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
            return Reply(error.status, {"Content-Type": "application/json"} | again, error.body())

    async def close(self) -> None:
        """Nobody is asked any more."""
        if self._http is not None:
            await self._http.close()

    async def _read(self, body: AsyncIterator[bytes]) -> bytes:
        whole = bytearray()
        async for piece in body:
            whole += piece
            if len(whole) > self._body_limit:
                message = f"The body takes at most {self._body_limit} bytes."
                raise ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        return bytes(whole)

    async def _ask_all(self, request: _Request, *, patience: float | None) -> Reply:
        """What every replica says for itself, as one answer; each has `patience` of its own."""

        async def ask(replica: str, address: str) -> Answer:
            with suppress(TimeoutError, ClientError, OSError):
                async with asyncio.timeout(patience):
                    said = await self._pass_on(request, address)
                    return Answer(replica, said.status, _headers(said), await said.read())
            return Answer(replica)

        addresses = await self._addresses()
        answers = await asyncio.gather(*(ask(*one) for one in addresses.items()))
        answer = merged(request.path, answers)
        if answer is None:
            raise refusal(ClosedError(_NONE))
        return Reply(answer.status, answer.headers, answer.body)

    async def _addresses(self) -> dict[str, str]:
        """Where each replica is."""
        try:
            said = await self._replicas.broadcast("where").results_async(
                timeout_s=_FOUND_WITHIN, return_exceptions=True
            )
        except DeploymentUnavailableError:
            self._known = {}
        except TimeoutError:
            log.warning("A replica does not say within %g s where it is", _FOUND_WITHIN)
        else:
            self._known = dict(one for one in said if isinstance(one, tuple))
        return self._known

    async def _ask_one(self, request: _Request) -> Reply:
        """The answer of a replica that has the model, or else of the one with the shortest line."""
        name = request.model()
        name = name if len(name) <= _LONGEST_NAME else ""
        # Serve finds the shortest line by what it last heard: a replica that is asked knows better.
        reply: Reply | None = None
        for model, if_free in ((name, True), ("", True), ("", False), ("", False)):
            if reply is not None:
                reply.let_go()
            handle = self._replicas.options(stream=True, multiplexed_model_id=model)
            reply = await self._reply(request, handle.seat.remote(name, if_free=if_free))
            if reply is not None and reply.status != HTTPStatus.TOO_MANY_REQUESTS:
                break
        assert reply is not None  # noqa: S101  # the last was not asked whether it is free
        return reply

    async def _reply(self, request: _Request, seat: DeploymentResponseGenerator) -> Reply | None:
        """The answer of a replica, as it begins; None: it has no free slot.

        Raises:
            ApiError: nobody is there to give it.
        """
        try:
            address: str | None = await anext(seat)
            answer = await self._pass_on(request, address) if address else None
        except DeploymentUnavailableError as error:
            raise refusal(ClosedError(_NONE)) from error
        except (RayError, ClientError, OSError) as error:
            seat.cancel()
            raise ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, _LOST) from error
        except BaseException:
            seat.cancel()
            raise
        if answer is None:
            return None
        return Reply(answer.status, _headers(answer), told=_Told(answer, seat))

    async def _pass_on(self, request: _Request, address: str) -> ClientResponse:
        if self._http is None:  # made outside of the event loop
            self._http = ClientSession(
                connector=TCPConnector(limit=0),
                timeout=ClientTimeout(total=None, sock_connect=_REACHED_WITHIN),
                auto_decompress=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            )
        return await self._http.request(
            request.method,
            URL(f"{address}{request.target}", encoded=True),
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, which whoever asked for it lets go of when it was passed on."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    told: _Told | None = None
    """What comes instead of the body, as it comes."""

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes.

        Raises:
            ClientError: its replica died; nothing more can be said of it.
        """
        if self.told is None:
            yield self.body
            return
        async for piece in self.told.answer.content.iter_any():
            yield piece

    def let_go(self) -> None:
        """Want no more of it."""
        if self.told is not None:
            self.told.answer.close()
            self.told.seat.cancel()


@dataclass(frozen=True, slots=True)
class _Told:
    """What a replica says, as long as its seat is held."""

    answer: ClientResponse
    seat: DeploymentResponseGenerator


@dataclass(frozen=True, slots=True)
class _Request:
    """A request as it came, read to its end."""

    method: str
    path: str
    """Percent-encoded, as in `target`."""
    target: str
    headers: Mapping[str, str]
    body: bytes

    def model(self) -> str:
        """The model that it is about; empty where it is none, or wrong, as a replica will say.

        Only the name is looked for here: a replica reads all of it.
        """
        if not self.headers.get("Content-Type", "").startswith("application/json"):
            return ""
        match self.path.split("/")[1:]:
            case ["v1", "models", name, "load"]:
                return unquote(name)
            case ["v1", "completions"]:
                with suppress(ValueError, RecursionError):
                    asked = json.loads(self.body)
                    if isinstance(asked, dict) and isinstance(asked.get("model"), str):
                        return str(asked["model"])
        return ""


def _headers(answer: ClientResponse) -> dict[str, str]:
    """What a replica says of its answer."""
    return {name: value for name, value in answer.headers.items() if name.lower() not in _OWN}
