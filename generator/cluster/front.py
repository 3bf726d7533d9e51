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
from multidict import CIMultiDict
from ray.exceptions import RayError
from ray.serve.exceptions import DeploymentUnavailableError
from starlette.responses import Response, StreamingResponse
from yarl import URL

from generator.cluster.merging import Answer, merged
from generator.engine.errors import ClosedError
from generator.server.door import may_enter
from generator.server.errors import ApiError, refusal
from generator.server.log import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import ClientResponse
    from ray.serve.handle import DeploymentHandle, DeploymentResponseGenerator
    from starlette.requests import Request as Asked
    from starlette.types import Receive, Scope, Send

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
    """Serve's ingress: it looks for keys and the model's name, and passes on what is said."""

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

    async def __call__(self, asked: Asked) -> Response:
        """Answer a request, in the words of `generator.server`."""
        try:
            headers = CIMultiDict(
                (name.decode("latin-1"), value.decode(errors="surrogateescape"))
                for name, value in asked.headers.raw
            )
            may_enter(self._keys, asked.url.path, headers)
            request = await self._read(asked, headers)
            match request.method, *request.path.split("/")[1:]:
                case ("GET", "health" | "metrics") | ("GET", "v1", "models", *_):
                    return await self._ask_all(request, patience=_PATIENCE)
                case ("POST", "v1", "models", _, "unload"):  # which waits for stories to end
                    return await self._ask_all(request, patience=None)
                case _:
                    return await self._ask_one(request)
        except ApiError as error:
            again = {"Retry-After": str(error.retry_after)} if error.retry_after else None
            return Response(
                error.body(), error.status, headers=again, media_type="application/json"
            )

    async def _read(self, asked: Asked, headers: Mapping[str, str]) -> _Request:
        body = bytearray()
        async for piece in asked.stream():
            body += piece
            if len(body) > self._body_limit:
                message = f"The body takes at most {self._body_limit} bytes."
                raise ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        path, query = asked.scope["raw_path"], asked.scope["query_string"]
        return _Request(
            asked.method,
            path.decode("latin-1"),
            (path + b"?" + query if query else path).decode("latin-1"),
            {name: said for name in _READ if (said := headers.get(name)) and said.isprintable()},
            bytes(body),
        )

    async def _ask_all(self, request: _Request, *, patience: float | None) -> Response:
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
        return Response(answer.body, answer.status, headers=answer.headers)

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

    async def _ask_one(self, request: _Request) -> Response:
        """The answer of a replica that has the model, or else of the one with the shortest line."""
        name = request.model()
        name = name if len(name) <= _LONGEST_NAME else ""
        # Serve finds the shortest line by what it last heard: a replica that is asked knows better.
        passed: _Passed | None = None
        for model, if_free in ((name, True), ("", True), ("", False), ("", False)):
            if passed is not None:
                passed.let_go()
            handle = self._replicas.options(stream=True, multiplexed_model_id=model)
            passed = await self._passed(request, handle.seat.remote(name, if_free=if_free))
            if passed is not None and passed.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                break
        assert passed is not None  # noqa: S101  # the last was not asked whether it is free
        return passed

    async def _passed(self, request: _Request, seat: DeploymentResponseGenerator) -> _Passed | None:
        """The answer of a replica, as it begins; None: it has no free slot.

        Raises:
            ApiError: nobody is there to give it.
        """
        try:
            address: str | None = await anext(seat)
            return _Passed(await self._pass_on(request, address), seat) if address else None
        except DeploymentUnavailableError as error:
            raise refusal(ClosedError(_NONE)) from error
        except (RayError, ClientError, OSError) as error:
            seat.cancel()
            raise ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, _LOST) from error
        except BaseException:
            seat.cancel()
            raise

    async def _pass_on(self, request: _Request, address: str) -> ClientResponse:
        if self._http is None:  # Serve makes this object outside of its event loop
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
class _Request:
    """A request as it came, read to its end."""

    method: str
    path: str
    """Percent-encoded, as in `target`."""
    target: str
    """Path and query."""
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


class _Passed(StreamingResponse):
    """A replica's answer; where the replica dies it breaks off, as its own server's would."""

    def __init__(self, answer: ClientResponse, seat: DeploymentResponseGenerator) -> None:
        super().__init__(answer.content.iter_any(), answer.status, headers=_headers(answer))
        self._answer, self._seat = answer, seat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Want no more of it."""
        self._answer.close()
        self._seat.cancel()


def _headers(answer: ClientResponse) -> dict[str, str]:
    """What a replica says of its answer."""
    return {name: value for name, value in answer.headers.items() if name.lower() not in _OWN}
