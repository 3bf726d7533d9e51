"""Client of any OpenAI-compatible completions server: one story in, its text as it is told."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from bot.config import Sampling
from bot.database.tables import Form, Length
from bot.silence import connector
from bot.worker.completions_server import Card, CompletionsServer
from bot.worker.event_stream import events
from bot.worker.gauges import Gauges
from bot.worker.generator_errors import (
    GeneratorBusyError,
    GeneratorDownError,
    GeneratorError,
    GeneratorFailedError,
    GeneratorLostError,
    GeneratorModelGoneError,
    GeneratorRefusedError,
    PromptTooLongError,
)
from bot.worker.recalling import recalled
from bot.worker.refusals import at_most, message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping
    from types import TracebackType

    from pydantic import SecretStr

    from bot.config import Mood, RemoteModel
    from bot.config import Stories as StorySettings
    from bot.database.tables import Story

__all__ = [
    "Card",
    "Completions",
    "GeneratorBusyError",
    "GeneratorDownError",
    "GeneratorError",
    "GeneratorFailedError",
    "GeneratorLostError",
    "GeneratorModelGoneError",
    "GeneratorRefusedError",
    "Piece",
]

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
GAUGES_WITHIN, LOADED_WITHIN = 5.0, 600.0
"""Seconds that the generator has to say how it is, and to load a model."""
WORDLESS = 10
"""Times that long may pass without a word though its server says something: that it still lives."""
SHORTER = 4
"""Times so short becomes a prompt that a model does not read: the story has to have room too."""
LONGEST_PAGE = 1 << 20
"""Bytes of what it measures."""
OPENAI = frozenset({
    "model", "prompt", "seed", "stream", "stream_options", "max_tokens", "temperature", "top_p",
})  # fmt: skip
"""What we say that OpenAI's API has; the rest is for a generator of our own kind."""
WELL = frozenset({"stop", "length", "eos", "eos_token", "stop_sequence", "max_tokens"})
"""Reasons with which a story has ended: OpenAI's two, and what Together and TGI say for them."""
BY_ITSELF = frozenset({"stop", "eos", "eos_token"})
"""Those of them with which the model ended it."""
UNSAID = frozenset({"", "null"})
"""What some servers write in every event, as if it were a reason; they never give another."""
FILTERED = "content_filter"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some more of a story."""

    text: str
    tokens: int
    """Told so far: pieces until the server counts them for us at the end."""
    last: bool = False
    """The model ended the story by itself, not by its length."""


class _Choice(BaseModel):
    text: str | None = None
    finish_reason: str | None = None


class _Usage(BaseModel):
    completion_tokens: int | None = Field(None, ge=0, lt=2**31)


class _Chunk(BaseModel):
    """What we read of one event; servers may say more."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


_CHUNK = TypeAdapter(_Chunk)


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
        moods: Mapping[str, Mood] | None = None,
    ) -> None:
        """Keep where the generator is.

        Args:
            url: The generator's address, with or without `/v1`; None: our own, still starting.
            settings: How stories are sampled, and how long one may be.
            request_timeout: Seconds without a word after which a telling is given up.
            api_key: What the generator wants to see, if anything.
            remote: Further servers, by the name under which members know their model.
            moods: How a story is drawn, by the name under which members choose it.
        """
        self.settings = settings
        self._moods = moods or {}
        self.remote = remote or {}
        self._generator = CompletionsServer(
            url, "generator", request_timeout=request_timeout, api_key=api_key
        )
        self._servers = {
            name: CompletionsServer(
                model.url,
                f"models.{name}",
                request_timeout=request_timeout,
                api_key=model.api_key,
            )
            for name, model in self.remote.items()
        }
        self._request_timeout = request_timeout
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT, sock_read=request_timeout
        )

    @property
    def url(self) -> str | None:
        """Where the generator is; None while nobody knows."""
        return self._generator.url

    @url.setter
    def url(self, url: str | None) -> None:
        self._generator.url = url

    async def __aenter__(self) -> Self:
        # No limit on connections: the queue already limits how many stories are told.
        self._http = aiohttp.ClientSession(timeout=self._timeout, connector=connector())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.close()

    async def served(self) -> list[str]:
        """Give the names of the generator's models; those of `remote` need nobody's answer.

        Raises:
            GeneratorError: The generator does not answer as it should.
        """
        return await self._generator.models(self._http)

    def card(self, name: str) -> Card | None:
        """What the generator last said of a model; None: nothing, or it is another server's."""
        return self._generator.cards.get(name)

    async def load(self, name: str) -> None:
        """Have the generator take a model into memory, and return when it is there.

        Raises:
            GeneratorError: It does not, and says why.
        """
        await self._command(name, "load")

    async def unload(self, name: str) -> None:
        """Have the generator let a model go, once the stories that it tells have ended.

        Raises:
            GeneratorError: It does not, and says why.
        """
        await self._command(name, "unload")

    async def gauges(self) -> Gauges:
        """Give what the generator measures of itself.

        Raises:
            GeneratorError: It measures nothing, or does not answer.
        """
        return Gauges.read((await self.measures()).decode(errors="replace"))

    async def measures(self) -> bytes:
        """Give the generator's page for Prometheus as it is.

        Raises:
            GeneratorError: It measures nothing, or does not answer.
        """
        timeout = aiohttp.ClientTimeout(total=GAUGES_WITHIN)
        answer = self._generator.answer(self._http, "GET", "/metrics", under="", timeout=timeout)
        async with answer as page:
            return await at_most(page, LONGEST_PAGE)

    async def _command(self, name: str, what: str) -> None:
        path = f"/models/{quote(name, safe='')}/{what}"
        timeout = aiohttp.ClientTimeout(total=LOADED_WITHIN)
        async with self._generator.answer(self._http, "POST", path, timeout=timeout, json={}):
            pass

    def languages(self, model: str) -> tuple[str, ...]:
        """Give the languages that a model knows, as its server said when it listed its models."""
        if (remote := self.remote.get(model)) is not None:
            return self._servers[model].languages.get(remote.model or model, ())
        return self._generator.languages.get(model, ())

    async def tell(self, story: Story, prompt: str) -> AsyncGenerator[Piece]:
        """Tell a story that begins with the prompt, piece by piece.

        The first piece has no text: it says that a server has begun. A story that reaches
        `settings.text_limit` characters ends there. To leave early, close the
        iterator (`contextlib.aclosing`): the connection goes with it, which frees the generator's
        slot.

        Raises:
            GeneratorBusyError: No room now.
            GeneratorRefusedError: It will not tell this, do not ask again.
            GeneratorDownError: Nobody answers.
            GeneratorFailedError: It broke off, or came to no end.
        """
        room, tokens, reason, done = self.settings.text_limit, 0, None, False
        async with self._answer(story, prompt) as answer:
            yield Piece("", 0)
            heard = _Heard(answer, WORDLESS * self._request_timeout)
            async for data in events(heard.chunks()):
                if data.strip() == "[DONE]":
                    done = True
                    break
                chunk = _read(data)
                for choice in chunk.choices or ():
                    reason = reason if choice.finish_reason is None else choice.finish_reason
                    if choice.text:
                        heard.word()
                        tokens += 1
                        # A model may tell any byte; PostgreSQL keeps all characters but this.
                        text = choice.text.replace("\0", "")
                        yield Piece(text[:room], tokens)
                        room -= len(text)
                        if room <= 0:
                            return
                if chunk.usage is not None and chunk.usage.completion_tokens is not None:
                    tokens = chunk.usage.completion_tokens
        _check_ending(reason, done=done)
        yield Piece("", tokens, last=reason is not None and reason.strip().lower() in BY_ITSELF)

    @asynccontextmanager
    async def _answer(self, story: Story, prompt: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """The stream of a story, from the server that has its model."""
        remote = self.remote.get(story.model)
        server = self._servers[story.model] if remote else self._generator
        wish = {
            "model": remote.model or story.model if remote else story.model,
            "prompt": prompt,
            "seed": story.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
            **self._length(story),
            "begin_word": True,
            **self._drawing(story),
        }
        reference = f"story-{story.id}"
        if not await server.understands_ours(self._http):
            wish, reference = {name: wish[name] for name in wish if name in OPENAI}, ""
        async with AsyncExitStack() as opened:
            while True:
                try:
                    answer = await opened.enter_async_context(
                        server.complete(self._http, wish, reference)
                    )
                    break
                except PromptTooLongError as error:
                    # What a member may write has a limit in characters, what a model reads one
                    # in tokens, and of Japanese each character may be three.
                    prompt = recalled(prompt, "", len(prompt) // SHORTER)
                    if not prompt:
                        raise
                    _log.info("Story %d begins from less: %s", story.id, error)
                    wish["prompt"] = prompt
            if answer.content_type != "text/event-stream":
                raise GeneratorFailedError(
                    f"the answer is {answer.content_type[:100]}, not a stream"
                )
            yield answer

    def _length(self, story: Story) -> dict[str, int]:
        """How many tokens it may have, and has to."""
        settings = self.settings
        most = settings.long_tokens if story.length is Length.LONG else settings.max_tokens
        if story.form is Form.VARIATION:
            most = settings.variation_tokens
        return {"max_tokens": most, "min_tokens": min(settings.min_tokens, most)}

    def _drawing(self, story: Story) -> dict[str, Any]:
        """How its words are drawn: as its mood says, if the host still has it, else as always."""
        rules = self.settings.model_dump(include=set(Sampling.model_fields), exclude_none=True)
        mood = self._moods.get(story.mood or "")
        return rules | (mood.model_dump(exclude_none=True) if mood else {})


class _Heard:
    """What comes in of a story, as long as there are words in it."""

    def __init__(self, answer: aiohttp.ClientResponse, longest: float) -> None:
        """`longest`: seconds without a word."""
        self._answer = answer
        self._longest = longest
        self.word()

    def word(self) -> None:
        """One came."""
        self._at = asyncio.get_running_loop().time()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Bytes as they arrive.

        Raises:
            GeneratorFailedError: For too long there were no words in them.
        """
        async for chunk in self._answer.content.iter_any():
            if asyncio.get_running_loop().time() - self._at > self._longest:
                raise GeneratorFailedError(f"no word came for {self._longest:g} s")
            yield chunk


def _read(data: str) -> _Chunk:
    try:
        chunk = _CHUNK.validate_json(data)
    except ValidationError as error:
        raise GeneratorFailedError(f"an event is not OpenAI's: {data[:100]!r}") from error
    if chunk.error is not None:
        raise GeneratorFailedError(message(chunk.error))
    return chunk


def _check_ending(reason: str | None, *, done: bool) -> None:
    """Make sure that the server said that the story is whole.

    Raises:
        GeneratorRefusedError: Its filter cut the story, and would again.
        GeneratorFailedError: It broke off, or was ended for another reason.
    """
    said = reason and reason.strip().lower()
    if said in WELL or (said in UNSAID and done):
        return
    if said == FILTERED:
        raise GeneratorRefusedError("the server's filter cut the story")
    if said is None or said in UNSAID:
        raise GeneratorFailedError("the story broke off in the middle")
    raise GeneratorFailedError(f"the server ended the story with {said[:100]!r}")
