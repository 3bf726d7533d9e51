"""The door of a cluster: each request goes to the replica that has its model and a short line."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

from multidict import CIMultiDict
from ray.exceptions import RayError
from ray.serve.exceptions import DeploymentUnavailableError
from starlette.responses import Response, StreamingResponse

from generator.cluster.merging import merged
from generator.cluster.wire import Answer, Head, Request
from generator.engine.errors import ClosedError
from generator.server.door import may_enter
from generator.server.errors import ApiError, refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ray.serve.handle import DeploymentHandle, DeploymentResponseGenerator
    from starlette.requests import Request as Asked

    from generator.config import EngineSettings

log = logging.getLogger(__name__)
_PATIENCE = 5.0
"""Seconds that each replica has for what all are asked."""
_LONGEST_NAME = 256
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

    async def __call__(self, asked: Asked) -> Response:
        """Answer a request, in the words of `generator.server`."""
        try:
            headers = CIMultiDict(
                (name.decode("latin-1"), value.decode(errors="surrogateescape"))
                for name, value in asked.headers.raw
            )
            may_enter(self._keys, asked.url.path, headers)
            return await self._pass_on(await self._read(asked))
        except ApiError as error:
            again = {"Retry-After": str(error.retry_after)} if error.retry_after else None
            return Response(
                error.body(), error.status, headers=again, media_type="application/json"
            )

    async def _read(self, asked: Asked) -> Request:
        body = bytearray()
        async for piece in asked.stream():
            body += piece
            if len(body) > self._body_limit:
                message = f"The body takes at most {self._body_limit} bytes."
                raise ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        path, query = asked.scope["raw_path"], asked.scope["query_string"]
        target = path + (b"?" + query if query else b"")
        headers = tuple(asked.headers.raw)
        model = _model_of(path.decode("latin-1"), bytes(body))
        return Request(asked.method, target.decode("latin-1"), headers, bytes(body), model)

    async def _pass_on(self, request: Request) -> Response:
        match request.method, *request.target.partition("?")[0].split("/")[1:]:
            case ("GET", "health" | "metrics") | ("GET", "v1", "models", *_):
                return await self._ask_all(request)
            case ("POST", "v1", "models", _, "unload"):
                return await self._ask_all(request)
            case _:
                return await self._ask_one(request)

    async def _ask_all(self, request: Request) -> Response:
        """What every replica says for itself, as one answer."""
        try:
            said = await self._replicas.broadcast("answer", request).results_async(
                timeout_s=_PATIENCE, return_exceptions=True
            )
        except (DeploymentUnavailableError, TimeoutError) as error:
            raise refusal(ClosedError(_NONE)) from error
        answers = [answer for answer in said if isinstance(answer, Answer)]
        if not answers:
            raise refusal(ClosedError(_NONE))
        answer = merged(request, answers)
        return _begun(Response(answer.body), answer.head)

    async def _ask_one(self, request: Request) -> Response:
        """The answer of a replica that has the model, or else of the one with the shortest line."""
        name = request.model if len(request.model) <= _LONGEST_NAME else ""
        ask = self._replicas.options(method_name="tell", stream=True)
        # Serve finds the shortest line by what it last heard: a replica that is asked knows better.
        for model, if_free in ((name, True), ("", True), ("", False), ("", False)):
            told = ask.options(multiplexed_model_id=model).remote(request, if_free=if_free)
            head = await _first(told)
            if head is not None and head.status != HTTPStatus.TOO_MANY_REQUESTS:
                break
        assert head is not None  # noqa: S101  # the last was not asked whether it is free
        return _begun(StreamingResponse(_body(told)), head)


async def _first(told: DeploymentResponseGenerator) -> Head | None:
    """How an answer begins; None: there is no free slot.

    Raises:
        ApiError: nobody is there to give it.
    """
    try:
        head: Head | None = await anext(told)
    except DeploymentUnavailableError as error:
        raise refusal(ClosedError(_NONE)) from error
    except RayError as error:
        raise ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, _LOST) from error
    except BaseException:
        told.cancel()
        raise
    return head


async def _body(told: DeploymentResponseGenerator) -> AsyncIterator[bytes]:
    """The rest of an answer; where its replica dies, it breaks off, as its own server's would."""
    try:
        async for piece in told:
            yield piece
    finally:
        told.cancel()


def _begun(response: Response, head: Head) -> Response:
    response.status_code = head.status
    response.raw_headers = [(name.lower(), value) for name, value in head.headers]
    return response


def _model_of(path: str, body: bytes) -> str:
    """The model that a request is about; empty where it is none, or wrong, as a replica will say.

    Only the name is looked for here: a replica reads all of it.
    """
    match path.split("/")[1:]:
        case ["v1", "models", name, "load"]:
            return unquote(name)
        case ["v1", "completions"]:
            with suppress(ValueError, RecursionError):
                asked = json.loads(body)
                if isinstance(asked, dict) and isinstance(asked.get("model"), str):
                    return str(asked["model"])
    return ""
