"""How every REST request is treated: authority, rate limit, body, answer, and a log of both."""

from __future__ import annotations

import json
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import hdrs, web

from bot.playground.errors import ApiError, Fault, Json
from bot.playground.exchanges import Exchange
from bot.playground.messages import snowflake

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bot.playground.attachments import Attachments
    from bot.playground.rate_limits import RateLimits

_log = logging.getLogger(__name__)

ROOT = "/api/v10"


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in."""

    path: dict[str, str]
    query: dict[str, str]
    body: Any
    files: list[Json]

    def id(self, name: str) -> int:
        """An id from the path; 0 when it is none."""
        return snowflake(self.path[name])


if TYPE_CHECKING:
    Handler = Callable[[Call], Any]
    Route = tuple[str, str, Handler, str | None]


class Rest:
    """Lets requests in, hands them to the API, and keeps what was said."""

    def __init__(
        self,
        handlers: Iterable[Route],
        attachments: Attachments,
        rate_limits: RateLimits,
        *,
        token: str,
    ) -> None:
        self._handlers = handlers
        self._attachments = attachments
        self._rate_limits = rate_limits
        self._token = token
        self.exchanges: deque[Exchange] = deque(maxlen=1000)

    def routes(self) -> list[web.RouteDef]:
        """Every route, and one for what there is not."""
        routes = [
            web.route(method, ROOT + path, self._endpoint(path, handler, limited_by))
            for method, path, handler, limited_by in self._handlers
        ]
        return [*routes, web.route(hdrs.METH_ANY, ROOT + "/{rest:.*}", self._unknown)]

    def _endpoint(
        self, route: str, handler: Handler, limited_by: str | None
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        open_to_all = "token}" in route or route == "/gateway"

        async def endpoint(request: web.Request) -> web.Response:
            headers: dict[str, str] = {}
            call: Call | None = None
            try:
                if not open_to_all:
                    self._authenticate(request)
                    self._rate_limits.take_any()
                if limited_by is not None:
                    bucket = f"{request.method} {route}"
                    headers = self._rate_limits.take(bucket, request.match_info[limited_by])
                call = await self._read(request)
                payload = handler(call)
                status = 204 if payload is None else 200
            except ApiError as error:
                status, payload = error.status, error.payload
                headers = headers | error.headers
            except Exception:  # noqa: BLE001  # whatever it was, the client gets its 500
                _log.exception("%s %s", request.method, route)
                status, _, message = Fault.SERVER.value
                payload = {"message": message, "code": 0}
            return self._answer(request, route, call, status, payload, headers)

        return endpoint

    def _authenticate(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bot {self._token}":
            raise ApiError.of(Fault.UNAUTHORIZED)

    async def _read(self, request: web.Request) -> Call:
        body: Any = None
        files: list[Json] = []
        try:
            if request.content_type.startswith("multipart/"):
                body, files = await self._attachments.receive(request)
            elif request.can_read_body:
                text = await request.text()
                body = json.loads(text) if text else None
        except web.HTTPRequestEntityTooLarge:
            raise ApiError.of(Fault.TOO_LARGE) from None
        except (ValueError, LookupError, RecursionError):  # the second: no such charset
            raise ApiError.of(Fault.INVALID_JSON) from None
        return Call(dict(request.match_info), dict(request.query), body, files)

    def _answer(
        self,
        request: web.Request,
        route: str,
        call: Call | None,
        status: int,
        payload: Any,
        headers: dict[str, str],
    ) -> web.Response:
        body = None if call is None else call.body
        if request.path.endswith("/@original"):  # Discord describes it as a route of its own
            route = route.replace("{message_id}", "@original")
        self.exchanges.append(Exchange(request.method, route, body, status, payload))
        if payload is None:
            return web.Response(status=status, headers=headers)
        # discord.py reads JSON only from a type of exactly this, without a charset.
        headers = {**headers, hdrs.CONTENT_TYPE: "application/json"}
        return web.Response(status=status, headers=headers, body=json.dumps(payload).encode())

    async def _unknown(self, request: web.Request) -> web.Response:
        error = ApiError.of(Fault.NOT_FOUND)
        route = request.path.removeprefix(ROOT)
        _log.info("the playground does not offer %s %s", request.method, route)
        return self._answer(request, route, None, error.status, error.payload, {})
