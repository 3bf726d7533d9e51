"""OpenAI's completions protocol: what is asked and what is answered.

Names that OpenAI lacks are vLLM's (`top_k`, `min_p`, `min_tokens`, `ignore_eos`,
`repetition_penalty`), which takes -1 for no `top_k` and no `seed`, or transformers'
(`no_repeat_ngram_size`, `num_beams`); `finish_sentence` and `memfree` are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from generator.sampling.requests import FinishReason
from generator.sampling.settings import (
    LARGEST,
    STRICT,
    Beams,
    MinTokens,
    Sampling,
    Temperature,
    TopK,
)
from generator.server.errors import ApiError, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping

Prompt = str | tuple[int, ...]
"""Text, or token ids."""


def _prompts(given: object) -> tuple[Prompt, ...]:
    """OpenAI's four forms of a prompt as one: several prompts, each text or token ids."""
    if isinstance(given, str):
        return (given,)
    if isinstance(given, list) and given:
        if all(isinstance(part, str) for part in given):
            return tuple(given)
        if _are_tokens(given):
            return (tuple(given),)
        if all(isinstance(part, list) and _are_tokens(part) for part in given):
            return tuple(map(tuple, given))
    raise PydanticCustomError("prompt", "not a prompt")


def _are_tokens(given: list[Any]) -> bool:
    # By the list rather than by the token: a body may hold half a million of them.
    return not given or (
        set(map(type, given)) == {int} and 0 <= min(given) <= max(given) <= LARGEST
    )


def _none_if_minus_one(given: object) -> object:
    return None if given == -1 and isinstance(given, int) else given


def _off_if_minus_one(given: object) -> object:
    return 0 if given == -1 and isinstance(given, int) else given


def _stops(given: object) -> object:
    return (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list) else 0


class StreamOptions(BaseModel):
    """What a stream says besides the text."""

    model_config = STRICT

    include_usage: bool = Field(False, description="true or false")
    include_obfuscation: bool = Field(False, description="true or false")
    """OpenAI's padding against who guesses words by the size of events; ours have none."""


class CompletionRequest(Sampling):
    """The body of `POST /v1/completions`: how to draw, and what.

    Each description says what the parameter takes: a wrong value is answered with it. What is left
    out or null is the model's own default, else OpenAI's.
    """

    model: str = Field(description="the name of a served model, see /v1/models")
    prompt: Annotated[tuple[Prompt, ...], BeforeValidator(_prompts)] = Field(
        ("",),
        description="a string, a list of strings, a list of token ids, or a list of such lists",
    )
    temperature: Annotated[  # as far as OpenAI's goes; a model's own may be hotter
        Temperature, Field(le=2, description="a number from 0 (always the likeliest token) to 2")
    ] = 1.0
    top_k: Annotated[TopK, BeforeValidator(_off_if_minus_one)] = 0
    max_tokens: int = Field(16, ge=0, le=LARGEST, description=f"a whole number from 0 to {LARGEST}")
    min_tokens: MinTokens = 0
    ignore_eos: bool = Field(False, description="true or false")
    num_beams: Beams = 1
    n: int = Field(1, ge=1, le=128, description="a whole number from 1 to 128")
    best_of: int | None = Field(
        None, ge=1, le=128, description="a whole number from n to 128, and with stream only n"
    )
    logprobs: int | None = Field(None, ge=0, le=5, description="a whole number from 0 to 5")
    seed: Annotated[int | None, BeforeValidator(_none_if_minus_one)] = Field(
        None, ge=0, lt=2**63, description=f"a whole number from 0 to {2**63 - 1}, or -1 for none"
    )
    stop: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=256)], ...], BeforeValidator(_stops)
    ] = Field(
        (),
        max_length=4,
        description="a string of 1 to 256 characters, or a list of up to 4 of them",
    )
    finish_sentence: bool = Field(True, description="true or false")
    begin_word: bool = Field(False, description="true or false")
    echo: bool = Field(False, description="true or false")
    stream: bool = Field(False, description="true or false")
    stream_options: StreamOptions | None = Field(
        None, description='an object like {"include_usage": true}, and only with stream'
    )
    user: str | None = Field(None, description="a string")

    # Of OpenAI's, not offered here: accepted where they ask for nothing.
    suffix: Literal[""] = Field("", description="only null here")
    logit_bias: dict[str, float] = Field({}, max_length=0, description="only an empty object here")

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise PydanticCustomError("disagree", "stream_options")
        if self.candidates < self.n or (self.stream and self.candidates > self.n):
            raise PydanticCustomError("disagree", "best_of")
        return self

    @property
    def candidates(self) -> int:
        """Stories told of each prompt, the likeliest `n` of which are answered."""
        return self.n if self.best_of is None else self.best_of

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a request's body.

        Raises:
            ApiError: with one sentence that names the parameter and says what it takes.
        """
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            raise _refusal(error.errors(include_url=False)[0]) from None


def _refusal(detail: Mapping[str, Any]) -> ApiError:
    kind, place = detail["type"], detail["loc"]
    if kind == "json_invalid":
        reason = detail["ctx"]["error"]
        return wrong(f"The body is not valid JSON in UTF-8: {reason}.", code="invalid_json")
    if kind == "disagree":
        place = (detail["msg"],)
    if not place:
        return wrong("The body has to be a JSON object.")
    param = str(place[0])[:64]
    field = CompletionRequest.model_fields.get(param)
    if field is None:
        # Those of the sampling last, though they are inherited.
        known = ", ".join(
            sorted(CompletionRequest.model_fields, key=Sampling.model_fields.__contains__)
        )
        return wrong(f"Unknown parameter {param!r}; known are {known}.", param, "unknown_parameter")
    if kind == "missing":
        return wrong(f"{param} is missing: {field.description}.", param)
    return wrong(f"{param} takes {field.description}.", param)


class Logprobs(BaseModel):
    """How likely the model itself holds each token of a text, in OpenAI's four columns."""

    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    """Null for a prompt's first token."""
    top_logprobs: list[dict[str, float] | None] | None = None
    """Of the likeliest tokens and the told one; null where none but the told ones are asked for."""
    text_offset: list[int] = []
    """Characters of the choice's text before each token."""


class CompletionChoice(BaseModel):
    """One story, or one piece of it."""

    text: str
    index: int
    logprobs: Logprobs | None = None
    finish_reason: FinishReason | None = None


class CompletionUsage(BaseModel):
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(BaseModel):
    """The whole answer, or one chunk of a stream."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: CompletionUsage | None = None
    seed: int
    """Ours: with the same request and seed the same story is told again."""


class ModelCard(BaseModel):
    """A served model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["kataribe"] = "kataribe"
    languages: list[str]
    """Codes of those that it knows, as its README says; empty where that says nothing."""
    loaded: bool
    max_model_len: int | None
    """Tokens of prompt and story together (vLLM's name); null while not loaded."""


class ModelList(BaseModel):
    """The answer of `/v1/models`."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class Occupancy(BaseModel):
    """How full a loaded model is."""

    slots: int
    slots_in_use: int
    waiting: int


class Health(BaseModel):
    """The answer of `/health`."""

    status: Literal["ok", "not ready"]
    models: dict[str, Occupancy]
