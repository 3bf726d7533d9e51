"""The door as Serve runs it, behind its own proxies, where a configuration file says what runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multidict import CIMultiDict
from starlette.responses import StreamingResponse

from generator.cluster.front import Front

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from generator.cluster.front import Reply
    from generator.config import EngineSettings


class Ingress:
    """What Serve asks."""

    def __init__(self, replicas: DeploymentHandle, settings: EngineSettings) -> None:
        """Prepare; see `Front`."""
        self._front = Front(replicas, settings)

    async def __call__(self, asked: Request) -> StreamingResponse:
        """Answer a request."""
        path, query = asked.scope["raw_path"], asked.scope["query_string"]
        headers = CIMultiDict(
            (name.decode("latin-1"), value.decode(errors="surrogateescape"))
            for name, value in asked.headers.raw
        )
        target = (path + b"?" + query if query else path).decode("latin-1")
        return _Passed(
            await self._front.answer(asked.method, target, headers, aiter(asked.stream()))
        )


class _Passed(StreamingResponse):
    """It breaks off where its replica does."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.pieces(), reply.status, headers=reply.headers)
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._reply.let_go()
