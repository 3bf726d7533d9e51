"""How stories go back to the client: whole as one object, or streamed as server-sent events."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from generator.engine.errors import EngineError
from generator.server.errors import ApiError, refusal
from generator.server.protocol import Completion, CompletionChoice, CompletionUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from generator.server.choice import Choice

log = logging.getLogger(__name__)
HEARTBEAT = 15.0
"""Seconds between two signs of life."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The choices of one request, about to be generated."""

    head: Completion
    """What all parts of the answer have in common; without choices."""
    choices: Sequence[Choice]
    prompt_tokens: int
    candidates: int = 1
    """So many choices one after the other are of one prompt,"""
    best: int = 1
    """and so many of them, the likeliest, are answered."""

    def usage(self) -> CompletionUsage:
        """Tokens read and, so far, written."""
        written = sum(choice.tokens for choice in self.choices)
        return CompletionUsage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=written,
            total_tokens=self.prompt_tokens + written,
        )

    async def whole(self) -> web.Response:
        """All choices to their ends.

        Raises:
            ApiError: one of them was cut.
        """

        async def tell(choice: Choice) -> CompletionChoice:
            text = "".join([piece async for piece in choice.pieces()])
            return _part(choice, text)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(tell(choice)) for choice in self.choices]
        except ExceptionGroup as errors:
            raise _failure(errors) from errors
        finished = self._likeliest([task.result() for task in tasks])
        body = self._json(choices=finished, usage=self.usage())
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    def _likeliest(self, told: list[CompletionChoice]) -> list[CompletionChoice]:
        """Of each prompt's candidates those with the highest log probability per token."""
        if self.candidates == self.best:
            return told
        best: list[CompletionChoice] = []
        for first in range(0, len(told), self.candidates):
            candidates = self.choices[first : first + self.candidates]
            ranked = sorted(candidates, key=lambda choice: choice.mean_logprob, reverse=True)
            best += [told[choice.index] for choice in ranked[: self.best]]
        return [one.model_copy(update={"index": index}) for index, one in enumerate(best)]

    async def stream(self, request: web.Request, *, include_usage: bool) -> web.StreamResponse:
        """Each choice piece by piece, as it grows; an error is the last event."""
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-cache",
                "X-Accel-Buffering": "no",  # nginx passes each event on at once
            }
        )
        try:
            await response.prepare(request)
        except ConnectionError:
            return response  # where the reader has left already; aiohttp sees it too

        async def send(event: bytes) -> None:
            # Where the reader has left, this handler is about to be cancelled.
            with suppress(ConnectionError):
                await response.write(b"data: " + event + b"\n\n")

        async def tell(choice: Choice) -> None:
            # While a slow reader makes `send` wait, tokens gather and go out together.
            async for piece in choice.pieces():
                await send(self._json(choices=[_part(choice, piece)]))
            await send(self._json(choices=[_part(choice, "")]))

        heartbeat = asyncio.create_task(_keep_awake(response))
        try:
            async with asyncio.TaskGroup() as group:
                for choice in self.choices:
                    group.create_task(tell(choice))
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


def _part(choice: Choice, text: str) -> CompletionChoice:
    """A choice's next piece, or all of it."""
    return CompletionChoice(
        text=text,
        index=choice.index,
        logprobs=choice.logprobs(text),
        finish_reason=choice.finish_reason,
    )


async def _keep_awake(response: web.StreamResponse) -> None:
    """Send a comment now and then, which clients skip.

    While a story waits for its slot, or is searched with beams, nobody should take the silence
    for death: no client, and no proxy between.
    """
    with suppress(ConnectionError):
        while True:
            await asyncio.sleep(HEARTBEAT)
            await response.write(b": the story goes on\n\n")


def _failure(errors: ExceptionGroup[Exception]) -> ApiError:
    """What the client hears when stories could not be told to their end."""
    error = errors.exceptions[0]
    if isinstance(error, EngineError):
        return refusal(error)
    log.error("a story failed", exc_info=error)
    message = "The generator made a mistake; its log has more."
    return ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, message)
