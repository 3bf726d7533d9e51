"""What an error of the engine is in HTTP."""

from __future__ import annotations

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
from generator.server.protocol import ApiError


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
