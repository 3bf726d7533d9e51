"""How stories go back to the client: whole as one object, or streamed as server-sent events."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from generator.engine.generation import EngineError
from generator.engine.loop import EngineFull
from generator.server.protocol import ApiError, Choice, Completion, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from generator.server.choice import Story

log = logging.getLogger(__name__)
HEARTBEAT = 15.0
"""Seconds between two signs of life."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The stories of one request, about to be told."""

    head: Completion
    """What all parts of the answer have in common; without choices."""
    stories: Sequence[Story]
    prompt_tokens: int

    def usage(self) -> Usage:
        """Tokens read and, so far, written."""
        written = sum(story.tokens for story in self.stories)
        return Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=written,
            total_tokens=self.prompt_tokens + written,
        )

    async def whole(self) -> web.Response:
        """All stories to their ends.

        Raises:
            ApiError: one of them was cut.
        """

        async def tell(story: Story) -> Choice:
            text = "".join([piece async for piece in story.pieces()])
            return Choice(text=text, index=story.index, finish_reason=story.finish_reason)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(tell(story)) for story in self.stories]
        except ExceptionGroup as errors:
            raise _failure(errors) from errors
        choices = [task.result() for task in tasks]
        body = self._json(choices=choices, usage=self.usage())
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    async def stream(self, request: web.Request, *, include_usage: bool) -> web.StreamResponse:
        """Each story piece by piece, as it is told; an error is the last event."""
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-cache",
                "X-Accel-Buffering": "no",  # nginx passes each event on at once
            }
        )
        await response.prepare(request)

        async def send(event: bytes) -> None:
            # Where the reader has left, this handler is about to be cancelled.
            with suppress(ConnectionError):
                await response.write(b"data: " + event + b"\n\n")

        async def tell(story: Story) -> None:
            # While a slow reader makes `send` wait, tokens gather and go out together.
            async for piece in story.pieces():
                await send(self._json(choices=[Choice(text=piece, index=story.index)]))
            end = Choice(text="", index=story.index, finish_reason=story.finish_reason)
            await send(self._json(choices=[end]))

        heartbeat = asyncio.create_task(_keep_awake(response))
        try:
            async with asyncio.TaskGroup() as group:
                for story in self.stories:
                    group.create_task(tell(story))
        except ExceptionGroup as errors:
            await send(_failure(errors).body())
        else:
            if include_usage:
                await send(self._json(usage=self.usage()))
            await send(b"[DONE]")
        finally:
            heartbeat.cancel()
        return response

    def _json(self, **parts: object) -> bytes:
        return self.head.model_copy(update=parts).model_dump_json().encode()


async def _keep_awake(response: web.StreamResponse) -> None:
    """Send a comment now and then, which clients skip.

    While a story waits for its slot, or is searched with beams, nobody should take the silence
    for death: no client, and no proxy between.
    """
    with suppress(ConnectionError):
        while True:
            await asyncio.sleep(HEARTBEAT)
            await response.write(b": the story goes on\n\n")


def refusal(error: EngineError) -> ApiError:
    """What an engine's error means for the client."""
    if isinstance(error, EngineFull):
        return ApiError(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"The model has no room for another story: {error}. Ask again in a moment.",
            code="slots_full",
            retry_after=1,
        )
    return ApiError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"The story was cut: {error}.",
        code="story_cut",
        retry_after=1,
    )


def _failure(errors: ExceptionGroup[Exception]) -> ApiError:
    """What the client hears when stories could not be told to their end."""
    error = errors.exceptions[0]
    if isinstance(error, EngineError):
        return refusal(error)
    log.error("a story failed", exc_info=error)
    message = "The generator made a mistake; its log has more."
    return ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, message)
