"""How errors are said: as OpenAI's error object, with a status."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus

from generator.engine.errors import (
    BrokenModelError,
    ClosedError,
    EngineError,
    ModelTooLargeError,
    NoRoomError,
    NoSuchModelError,
    SlotsFullError,
)

_KINDS = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}


class ApiError(Exception):
    """Something to tell the client: a status and OpenAI's error object."""

    def __init__(
        self,
        status: HTTPStatus,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Say `message`, one clear sentence; `param` is the request's parameter that is wrong.

        `retry_after` is in seconds, for errors that go away.
        """
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code
        self.retry_after = retry_after

    def body(self) -> bytes:
        """The error object as JSON."""
        if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            kind = "server_error"
        else:
            kind = _KINDS.get(self.status, "invalid_request_error")
        error = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        return json.dumps({"error": error}).encode()


def wrong(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """The client's mistake: status 400."""
    return ApiError(HTTPStatus.BAD_REQUEST, message, param=param, code=code)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: HTTPStatus
    code: str
    param: str | None = None
    retry_after: int | None = None


_ANSWERS: dict[type[EngineError], _Answer] = {
    EngineError: _Answer(HTTPStatus.SERVICE_UNAVAILABLE, "story_cut", retry_after=1),
    SlotsFullError: _Answer(HTTPStatus.TOO_MANY_REQUESTS, "slots_full", retry_after=1),
    NoSuchModelError: _Answer(HTTPStatus.NOT_FOUND, "model_not_found", "model"),
    BrokenModelError: _Answer(HTTPStatus.INTERNAL_SERVER_ERROR, "model_broken", "model"),
    ModelTooLargeError: _Answer(HTTPStatus.SERVICE_UNAVAILABLE, "model_too_large", "model"),
    NoRoomError: _Answer(HTTPStatus.TOO_MANY_REQUESTS, "no_room", "model", retry_after=5),
    ClosedError: _Answer(HTTPStatus.SERVICE_UNAVAILABLE, "closing", retry_after=5),
}


def refusal(error: EngineError) -> ApiError:
    """The answer for the client, in the error's own words."""
    answer = _ANSWERS[type(error)]
    return ApiError(
        answer.status,
        str(error),
        param=answer.param,
        code=answer.code,
        retry_after=answer.retry_after,
    )
