"""The log on standard error: a line an event, with the reference of the request it is about."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

REFERENCE = "X-Request-Id"
"""The header by which who asks names a request: its log's lines and ours can be put together."""
_LONGEST = 64
_reference: ContextVar[str] = ContextVar("reference", default="")


def open_log() -> None:
    """Write one line for each event to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(reference)s%(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)


@web.middleware
async def refer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Name the request in every line that is logged for it."""
    given = request.headers.get(REFERENCE, "")
    # Set in any case: the next request of a connection is handled by the same task.
    _reference.set(given[:_LONGEST] if given.isascii() and given.isprintable() else "")
    return await handler(request)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        reference = _reference.get()
        record.reference = f"[{reference}] " if reference else ""
        return super().format(record)
