"""What a completions server says when it does not tell, read for what it means."""

from __future__ import annotations

import email.utils
import json
import re
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Collection

    import aiohttp

RETRY_AFTER = 1.0
"""Seconds until a busy server is asked again when it does not say."""
LONGEST_RETRY_AFTER = 60.0
LONGEST_ADDRESS = 200
"""Characters of where a server sends us on to that the host is told."""
LONGEST_REFUSAL = 10_000
"""Bytes of a refusal that are read."""
LONGEST_REASON = 500
"""Characters of what it says that are kept, logged and shown."""
ASKED_BY_ALL = frozenset({"model", "prompt", "stream", "max_tokens"})
"""Parameters without which a server would tell something else: they are never left out."""
REDIRECTS = frozenset({
    HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FOUND, HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT,
})  # fmt: skip
AWAY = frozenset({
    HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT,
})  # fmt: skip
"""What stands before a server says so when there is none behind it."""
TOO_MUCH = frozenset({
    HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY,
})  # fmt: skip
_CONTEXT = re.compile(r"context (?:length|size|window)")
_UNKNOWN = re.compile(
    r"unknown|unrecogni[sz]ed|unexpected|not supported|unsupported|extra|not permitted"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer whose status is not 200."""

    status: int
    said: str
    """Its reason in one line; may be empty."""
    later: str | None
    """When to come back, as the server puts it."""
    _body: str
    _error: object

    @classmethod
    async def read(cls, answer: aiohttp.ClientResponse) -> Self:
        """Take what is needed of an answer."""
        body = (await at_most(answer, LONGEST_REFUSAL))[:LONGEST_REFUSAL].decode(errors="replace")
        error = _error(body)
        said = message(error or body)
        if answer.status in REDIRECTS:
            said = f"ask {answer.headers.get('Location', 'elsewhere')[:LONGEST_ADDRESS]!r}"
        later = answer.headers.get("Retry-After")
        return cls(answer.status, said or message(answer.reason or ""), later, body, error)

    @property
    def is_busy(self) -> bool:
        """It has no room now."""
        return self.status == HTTPStatus.TOO_MANY_REQUESTS or (
            self.status == HTTPStatus.SERVICE_UNAVAILABLE and self.later is not None
        )

    @property
    def retry_after(self) -> float:
        """Seconds until it wants to be asked again."""
        return _seconds(self.later)

    @property
    def is_about_length(self) -> bool:
        """Its model does not read so much: as OpenAI says it, and as vLLM and llama.cpp do."""
        if self.status not in TOO_MUCH:
            return False
        named = isinstance(self._error, dict) and self._error.get("code")
        return named == "context_length_exceeded" or bool(_CONTEXT.search(self.said.lower()))

    @property
    def wants_a_key(self) -> bool:
        """It does not let us in."""
        return self.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}

    @property
    def is_about_model(self) -> bool:
        """A server without such a model says so; one without such an address speaks of that."""
        if isinstance(self._error, dict) and self._error.get("code") == "model_not_found":
            return True
        return "model" in self.said.lower()

    def unknown(self, sent: Collection[str]) -> frozenset[str]:
        """Parameters among those sent that it does not know, and that can be left out."""
        if self.status not in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}:
            return frozenset()
        if not _UNKNOWN.search(self._body.lower()):
            return frozenset()
        # The sentence of a thorough server lists what it does know as well.
        param = self._error.get("param") if isinstance(self._error, dict) else None
        known = isinstance(param, str) and param in sent
        named = {str(param)} if known else set(re.findall(r"\w+", self._body))
        return frozenset(named & (set(sent) - ASKED_BY_ALL))


def message(error: object) -> str:
    """What an error object of OpenAI's, or of nobody's, says; one line of what can be read.

    The host reads it in the log and in Discord, and it is kept: no database takes the halves of
    characters that JSON may have.
    """
    said = str(error.get("message", error) if isinstance(error, dict) else error)
    seen = (char if char.isprintable() else " " for char in said[: 4 * LONGEST_REASON])
    return " ".join("".join(seen).split())[:LONGEST_REASON]


def _error(body: str) -> object:
    """The error object, if there is one."""
    try:
        whole = json.loads(body)
    except ValueError:
        return None
    return whole.get("error") if isinstance(whole, dict) else None


async def at_most(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body, or somewhat more than `limit` bytes of it."""
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > limit:
            break
    return bytes(body)


def _seconds(later: str | None) -> float:
    """Read a Retry-After header: seconds, or a date."""
    if later is None:
        return RETRY_AFTER
    try:
        seconds = float(later)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(later).timestamp() - time.time()
        except (ValueError, OverflowError):  # the latter of a year of twenty digits
            return RETRY_AFTER
    # A NaN falls to the lower bound, as does a moment that has passed.
    return min(max(0.1, seconds), LONGEST_RETRY_AFTER)
