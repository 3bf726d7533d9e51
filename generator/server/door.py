"""Who is let in: with keys who shows one, without them programs of this machine, no web page."""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from generator.config import is_loopback
from generator.server.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp.typedefs import Handler, Middleware


def let_in(keys: Sequence[bytes]) -> Middleware:
    """A middleware that raises an ApiError for who is not to be answered.

    Args:
        keys: the bearer keys of which a client must show one, except for `/health`. Without any the
            server listens on a loopback address, and what comes from a browser on this machine may
            be another site's doing: a page that posts here (it cannot hide its `Origin`), or one
            whose own name was made to mean this address (DNS rebinding: its name is the `Host`).
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        may_enter(keys, request.path, request.headers)
        return await handler(request)

    return check


def may_enter(keys: Sequence[bytes], path: str, headers: Mapping[str, str]) -> None:
    """What the middleware asks of each request.

    Args:
        keys: as for `let_in`.
        path: where it goes.
        headers: found by their names in any case.

    Raises:
        ApiError: it is not to be answered.
    """
    if not keys:
        _only_from_here(headers)
    elif path != "/health":
        _check_key(headers, keys)


def only_json(request: web.Request) -> None:
    """Refuse what a page of another site may send without asking first: a body that is no JSON.

    Raises:
        ApiError: of status 415.
    """
    if request.content_type != "application/json":
        message = "The body has to be JSON, with Content-Type: application/json."
        raise ApiError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)


def _check_key(headers: Mapping[str, str], keys: Sequence[bytes]) -> None:
    shown = headers.get(hdrs.AUTHORIZATION, "").encode(errors="surrogateescape")
    # All are compared, each in constant time: nothing is learnt from how long it takes.
    fits = [hmac.compare_digest(shown, b"Bearer " + key) for key in keys]
    if not any(fits):
        message = "This generator wants one of its keys, as Authorization: Bearer KEY."
        raise ApiError(HTTPStatus.UNAUTHORIZED, message, code="invalid_api_key")


def _only_from_here(headers: Mapping[str, str]) -> None:
    host, origin = headers.get(hdrs.HOST, ""), headers.get(hdrs.ORIGIN)
    if not is_loopback(_name_in(f"//{host}")) or (
        origin is not None and origin != f"http://{host}"
    ):
        message = "Without keys, only programs on the generator's own machine are answered."
        raise ApiError(HTTPStatus.FORBIDDEN, message, code="host_only")


def _name_in(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # a bracket that nothing closes
        return ""
