"""Client of any OpenAI-compatible completions server: one story in, its text as it is told."""

from __future__ import annotations

import email.utils
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from pydantic import BaseModel, TypeAdapter, ValidationError

from bot.worker.event_stream import EventError, events

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping
    from types import TracebackType

    from pydantic import SecretStr

    from bot.config import RemoteModel
    from bot.config import Stories as StorySettings
    from bot.database.tables import Story

CONNECT_TIMEOUT = 10.0
RETRY_AFTER = 1.0
"""Seconds until a busy server is asked again when it does not say."""
LONGEST_RETRY_AFTER = 60.0
SAMPLING = ("temperature", "top_k", "top_p", "repetition_penalty", "no_repeat_ngram_size")
"""Settings that are sent only where the host gave them: each model knows what suits it."""


class GeneratorError(Exception):
    """The generator did not tell the story; the message is for the host."""


class GeneratorBusyError(GeneratorError):
    """It has no room now; it asks to be tried again after `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"the generator is full, again in {retry_after:g} s")
        self.retry_after = retry_after


class GeneratorRefusedError(GeneratorError):
    """It will not tell this story, now or later: an unknown model, a setting it forbids."""


class GeneratorDownError(GeneratorError):
    """Nobody answers: the story is not at fault and waits."""


class GeneratorFailedError(GeneratorError):
    """It began and broke off, or answered nonsense: another attempt may help."""


class GeneratorLostError(GeneratorFailedError):
    """The connection was lost in the middle: the server may have died of this story or another."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some more of a story."""

    text: str
    tokens: int
    """Told so far: pieces until the server counts them for us at the end."""


class _Choice(BaseModel):
    text: str = ""
    finish_reason: str | None = None


class _Usage(BaseModel):
    completion_tokens: int


class _Chunk(BaseModel):
    """What we read of one event; servers may say more."""

    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


_CHUNK = TypeAdapter(_Chunk)
_MODELS = TypeAdapter(_Models)


class Completions:
    """Tells stories through HTTP; entered once, shared by all tellers."""

    def __init__(
        self,
        url: str | None,
        settings: StorySettings,
        *,
        request_timeout: float,
        api_key: SecretStr | None = None,
        remote: Mapping[str, RemoteModel] | None = None,
    ) -> None:
        """Keep where the generator is.

        Args:
            url: The generator's address, with or without `/v1`; None: not known yet.
            settings: How stories are sampled.
            request_timeout: Seconds without a word after which a telling is given up.
            api_key: What the generator wants to see, if anything.
            remote: Further servers, by the name under which members know their model.
        """
        self.url = url
        self._settings = settings
        self._api_key = api_key
        self._remote = remote or {}
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT, sock_read=request_timeout
        )

    async def __aenter__(self) -> Self:
        # No limit on connections: the queue already limits how many stories are told.
        self._http = aiohttp.ClientSession(
            timeout=self._timeout, connector=aiohttp.TCPConnector(limit=0)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.close()

    async def models(self) -> list[str]:
        """Give the names of the models that tell.

        Raises:
            GeneratorError: The generator does not answer as it should.
        """
        async with self._answer("GET", self.url, self._api_key, "/models") as answer:
            try:
                served = _MODELS.validate_json(await answer.read())
            except ValidationError as error:
                raise GeneratorFailedError("the list of models is not OpenAI's") from error
        return [*(model.id for model in served.data), *self._remote]

    async def tell(self, story: Story, prompt: str) -> AsyncGenerator[Piece]:
        """Tell a story that begins with the prompt, piece by piece.

        To leave early, close the iterator (`contextlib.aclosing`): the connection goes with it,
        which frees the generator's slot.

        Raises:
            GeneratorBusyError: No room now.
            GeneratorRefusedError: It will not tell this, do not ask again.
            GeneratorDownError: Nobody answers.
            GeneratorFailedError: It broke off.
        """
        remote = self._remote.get(story.model)
        sampling = {name: getattr(self._settings, name) for name in SAMPLING}
        wish = {
            "model": remote.model or story.model if remote else story.model,
            "prompt": prompt,
            "seed": story.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": self._settings.max_tokens,
            "min_tokens": self._settings.min_tokens,
            "begin_word": True,
            **{name: value for name, value in sampling.items() if value is not None},
        }
        url, key = (remote.url, remote.api_key) if remote else (self.url, self._api_key)
        async with self._answer("POST", url, key, "/completions", json=wish) as answer:
            if answer.content_type != "text/event-stream":
                raise GeneratorFailedError(f"the answer is {answer.content_type}, not a stream")
            tokens = 0
            finished = False
            async for data in events(answer.content.iter_any()):
                if data == "[DONE]":
                    break
                chunk = _read(data)
                for choice in chunk.choices:
                    finished = finished or choice.finish_reason is not None
                    if choice.text:
                        tokens += 1
                        # A model may tell any byte; PostgreSQL keeps all characters but this.
                        yield Piece(choice.text.replace("\0", ""), tokens)
                if chunk.usage is not None:
                    yield Piece("", chunk.usage.completion_tokens)
            if not finished:
                raise GeneratorFailedError("the story broke off in the middle")

    @asynccontextmanager
    async def _answer(
        self, method: str, url: str | None, key: SecretStr | None, path: str, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask; whatever goes wrong until the answer is read becomes a GeneratorError."""
        if url is None:
            raise GeneratorDownError("the generator is still starting")
        address = url.rstrip("/").removesuffix("/v1") + "/v1" + path
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        try:
            async with self._http.request(method, address, headers=headers, **options) as answer:
                if answer.status != HTTPStatus.OK:
                    raise await _refusal(answer)
                yield answer
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise GeneratorDownError(f"{address} cannot be reached: {error}") from error
        except TimeoutError as error:
            raise GeneratorFailedError(
                f"{address} said nothing for {self._timeout.sock_read:g} s"
            ) from error
        except EventError as error:
            raise GeneratorFailedError(f"{address} broke off: {error!r}") from error
        except aiohttp.ClientError as error:
            raise GeneratorLostError(f"{address} broke off: {error!r}") from error


def _read(data: str) -> _Chunk:
    try:
        chunk = _CHUNK.validate_json(data)
    except ValidationError as error:
        raise GeneratorFailedError(f"an event is not OpenAI's: {data[:100]!r}") from error
    if chunk.error is not None:
        raise GeneratorFailedError(_message(chunk.error))
    return chunk


async def _refusal(answer: aiohttp.ClientResponse) -> GeneratorError:
    """Turn a status that is not 200 into what it means for the story."""
    status = answer.status
    later = answer.headers.get("Retry-After")
    if status == HTTPStatus.TOO_MANY_REQUESTS or (
        status == HTTPStatus.SERVICE_UNAVAILABLE and later is not None
    ):
        return GeneratorBusyError(_seconds(later))
    body = (await answer.content.read(10_000)).decode(errors="replace")
    try:
        said = _message(json.loads(body)["error"])
    except (ValueError, TypeError, KeyError):
        said = " ".join(body.split())[:200] or answer.reason or "no reason"
    sentence = f"{answer.url} answered {status}: {said}"
    if status in {
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }:
        return GeneratorDownError(sentence)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return GeneratorFailedError(sentence)
    return GeneratorRefusedError(sentence)


def _message(error: object) -> str:
    said = error.get("message", error) if isinstance(error, dict) else error
    return " ".join(str(said).split())


def _seconds(later: str | None) -> float:
    """Read a Retry-After header: seconds, or a date."""
    if later is None:
        return RETRY_AFTER
    try:
        seconds = float(later)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(later).timestamp() - time.time()
        except ValueError:
            return RETRY_AFTER
    # A NaN falls to the lower bound, as does a moment that has passed.
    return min(max(0.1, seconds), LONGEST_RETRY_AFTER)
