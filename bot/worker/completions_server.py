"""One completions server, ours or somebody else's: what it is asked, and what its refusals mean."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
from pydantic import BaseModel, ValidationError

from bot.worker.event_stream import EventError
from bot.worker.generator_errors import (
    GeneratorBusyError,
    GeneratorDownError,
    GeneratorError,
    GeneratorFailedError,
    GeneratorLostError,
    GeneratorModelGoneError,
    GeneratorRefusedError,
    GeneratorStartingError,
    ParameterUnknownError,
    PromptTooLongError,
)
from bot.worker.refusals import AWAY, REDIRECTS, Refusal, at_most

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from pydantic import SecretStr

_log = logging.getLogger(__name__)

LONGEST_LIST = 4 << 20
"""Bytes of a list of models."""
MODELS = 1000
"""Models of one server that are offered."""
COMPLETIONS = "/completions"
REFERENCE = "X-Request-Id"
"""The header that names a story, for the log of its server."""
NAME_LIMIT = 100
"""Characters of a model's name that Discord takes as a suggestion, and the database as a name."""
OURS = "kataribe"
"""What our own generator says about who owns its models."""


class Card(BaseModel):
    """What a server says of one of its models; OpenAI's API has a name only, ours says more."""

    id: str
    owned_by: str | None = None
    loaded: bool | None = None
    """Whether it is in memory; None: its server does not say."""
    max_model_len: int | None = None
    """Tokens of a prompt and its story together; None while nobody knows."""
    languages: Any = None
    """Ours says which it knows, as a list of codes; what others may mean by the name is ignored."""

    def known(self) -> tuple[str, ...]:
        """The languages, where they are said as ours says them."""
        said = self.languages if isinstance(self.languages, list) else []
        return tuple(code for code in said if isinstance(code, str))


class _Models(BaseModel):
    data: list[Card]


class CompletionsServer:
    """Where it is, the key that it wants to see, and what was learnt of it."""

    def __init__(
        self,
        url: str | None,
        setting: str,
        *,
        request_timeout: float,
        api_key: SecretStr | None = None,
    ) -> None:
        """Keep where it is.

        Args:
            url: Its address, with or without `/v1`; None: our own generator, still starting.
            setting: The section of config.toml that names it, `generator` or `models.NAME`.
            request_timeout: Seconds without a word after which it is given up.
            api_key: What it wants to see, if anything.
        """
        self.url = url
        self.ours: bool | None = True if url is None else None
        """Whether it understands what only our generator does; None: nobody has asked yet."""
        self.cards: dict[str, Card] = {}
        """What it said of its models when it was last asked, by name."""
        self.languages: dict[str, tuple[str, ...]] = {}
        """What its models know, by their names, where it says so."""
        self.left_out: set[str] = set()
        """Parameters that it has refused."""
        self._setting = setting
        self._request_timeout = request_timeout
        self._api_key = api_key
        self._complaints: set[str] = set()
        """Paths about which the host was told that something has to be mended."""

    async def models(self, http: aiohttp.ClientSession) -> list[str]:
        """Give the names that it serves, without those that nobody could choose.

        Raises:
            GeneratorError: It does not answer as it should.
        """
        # A list is short: unlike a story it has to be there as a whole within the time.
        timeout = aiohttp.ClientTimeout(total=self._request_timeout)
        async with self.answer(http, "GET", "/models", timeout=timeout) as answer:
            body = await at_most(answer, LONGEST_LIST)
        if len(body) > LONGEST_LIST:
            raise GeneratorFailedError(
                f"the list of models at {self.url} has more than {LONGEST_LIST} bytes"
            )
        try:
            served = _Models.model_validate_json(body).data
        except ValidationError as error:
            raise GeneratorFailedError(f"the list of models at {self.url} is not OpenAI's") from (
                error
            )
        self.ours = any(model.owned_by == OURS for model in served)
        self.languages = {m.id: m.known() for m in served[:MODELS] if m.owned_by == OURS}
        cards = {model.id: model for model in reversed(served) if can_be_chosen(model.id)}
        names = dict.fromkeys(model.id for model in served if model.id in cards)
        self.cards = {name: cards[name] for name in list(names)[:MODELS]}
        return list(self.cards)

    async def understands_ours(self, http: aiohttp.ClientSession) -> bool:
        """Tell whether it is our generator; a server is asked once.

        Raises:
            GeneratorBusyError: It has no time to say.
            GeneratorDownError: Nobody answers.
        """
        if self.ours is None:
            try:
                await self.models(http)
            except (GeneratorRefusedError, GeneratorFailedError):
                self.ours = False  # ours has a list of its models
        return bool(self.ours)

    @asynccontextmanager
    async def complete(
        self, http: aiohttp.ClientSession, wish: Mapping[str, Any], reference: str = ""
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask for a story, at most once more for each parameter that it turns out not to know.

        Args:
            http: Connections.
            wish: What is asked for.
            reference: What the story is called in our log; empty: that is none of the server's.

        Raises:
            GeneratorError: It does not tell, or it stops.
        """
        named = {REFERENCE: reference} if reference else {}
        while True:
            body = {name: value for name, value in wish.items() if name not in self.left_out}
            try:
                async with self.answer(
                    http, "POST", COMPLETIONS, headers=named, json=body
                ) as answer:
                    yield answer
            except ParameterUnknownError as error:
                self.left_out |= error.names
                names = ", ".join(sorted(error.names))
                _log.info("%s is asked without %s from now on: %s", self.url, names, error)
            else:
                return

    @asynccontextmanager
    async def answer(
        self,
        http: aiohttp.ClientSession,
        method: str,
        path: str,
        *,
        under: str = "/v1",
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask; whatever goes wrong until the answer is read becomes a GeneratorError."""
        if self.url is None:
            raise GeneratorStartingError("the generator is still starting")
        address = self.url.rstrip("/").removesuffix("/v1") + under + path
        key = self._api_key
        shown = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        try:
            # Another address may be another's, who would get the key and the members' words.
            async with http.request(
                method,
                address,
                headers={**(headers or {}), **shown},
                allow_redirects=False,
                **options,
            ) as answer:
                if answer.status != HTTPStatus.OK:
                    raise self._failure(await Refusal.read(answer), path, options.get("json", ()))
                self._complaints.discard(path)
                yield answer
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise GeneratorDownError(f"{address} cannot be reached: {error}") from error
        except TimeoutError as error:
            raise GeneratorFailedError(
                f"{address} said nothing for {self._request_timeout:g} s"
            ) from error
        except EventError as error:
            raise GeneratorFailedError(f"{address} broke off: {error!r}") from error
        except aiohttp.ClientError as error:
            raise GeneratorLostError(f"{address} broke off: {error!r}") from error

    def _failure(self, refusal: Refusal, path: str, sent: Collection[str]) -> GeneratorError:
        """Turn a status that is not 200 into what it means for the story."""
        if refusal.is_busy:
            return GeneratorBusyError(refusal.retry_after)
        status = refusal.status
        sentence = f"{self.url} answered {status}: {refusal.said or 'no reason'}"
        if names := refusal.unknown(sent):
            return ParameterUnknownError(sentence, names)
        if refusal.is_about_length:
            return PromptTooLongError(sentence)
        kind: type[GeneratorError] = GeneratorRefusedError
        if refusal.wants_a_key:
            variable = f"KATARIBE_{self._setting.replace('.', '__')}__API_KEY".upper()
            state = "is no key that it takes" if self._api_key else "is not set"
            self._complain(path, f"lets nobody in: {variable} {state}", refusal.said)
            kind = GeneratorDownError
        elif status in REDIRECTS:
            self._complain(path, "sends us on, and nobody follows: its url is wrong", refusal.said)
            kind = GeneratorDownError
        elif status == HTTPStatus.NOT_FOUND and path == COMPLETIONS:
            kind = GeneratorModelGoneError
            if not refusal.is_about_model:
                self._complain(path, "has no completions there: its url is wrong", refusal.said)
                kind = GeneratorDownError
        elif status in AWAY:
            kind = GeneratorDownError
        elif status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
            kind = GeneratorFailedError
        return kind(sentence)

    def _complain(self, path: str, fault: str, said: str) -> None:
        """Tell the host what to mend: once, until it has worked again."""
        if path not in self._complaints:
            self._complaints.add(path)
            _log.error(
                "The server of [%s], %s, %s. It says: %s. Its stories wait until that is mended",
                self._setting,
                self.url,
                fault,
                said.rstrip(".") or "nothing",
            )


def can_be_chosen(name: str) -> bool:
    """A name that can be shown, suggested and typed."""
    return 0 < len(name) <= NAME_LIMIT and name.isprintable() and name == name.strip()
