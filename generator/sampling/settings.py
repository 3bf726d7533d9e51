"""How a story is drawn: every rule is declared here, and nowhere else.

A field has its name, what it takes (as a range and in words), and the value at which it is off.
From that come the request's parameters, what a model folder may say, and the rows that both
samplers read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST = 2**31 - 1
_GREEDY_BELOW = 1e-5
"""A temperature this low is taken for 0: dividing logits by it could overflow."""

STRICT = ConfigDict(
    strict=True, extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
)

MaxTokens = Annotated[
    int, Field(ge=1, le=LARGEST, description=f"a whole number from 1 to {LARGEST}")
]
MinTokens = Annotated[
    int, Field(ge=0, le=LARGEST, description=f"a whole number from 0 to {LARGEST}")
]
Beams = Annotated[int, Field(ge=1, le=16, description="a whole number from 1 to 16")]


def _greedy_if_tiny(temperature: float) -> float:
    return temperature if temperature >= _GREEDY_BELOW else 0.0


Temperature = Annotated[
    float,
    Field(ge=0, le=1e6, description="a number from 0 (always the likeliest token) to 1000000"),
    AfterValidator(_greedy_if_tiny),
]


TopK = Annotated[
    int, Field(ge=0, le=LARGEST, description=f"a whole number from 0 (off) to {LARGEST}")
]

Penalty = Annotated[float, Field(ge=-2, le=2, description="a number from -2 to 2, 0 being off")]


class Sampling(BaseModel):
    """How the next token is drawn from the logits; every default means "off".

    The rules apply in transformers' order: repetition penalty, no-repeat n-grams, minimum
    length, temperature, top-k, top-p, min-p. Names and meanings are transformers' own; the
    penalties for frequency and presence, after that for repetition, are OpenAI's.
    """

    model_config = STRICT

    temperature: Temperature = 1.0
    """Divides the logits; 0 is greedy."""
    top_k: TopK = 0
    """Only the k likeliest tokens; 0 keeps all."""
    top_p: Annotated[
        float, Field(gt=0, le=1, description="a number above 0 and at most 1 (off)")
    ] = 1.0
    """Only the smallest set of likeliest tokens whose probabilities reach p."""
    min_p: Annotated[float, Field(ge=0, le=1, description="a number from 0 (off) to 1")] = 0.0
    """Only tokens at least min_p times as likely as the likeliest."""
    repetition_penalty: Annotated[
        float, Field(ge=0.01, le=100, description="a number from 0.01 to 100, 1 being off")
    ] = 1.0
    """Divides positive and multiplies negative logits of tokens already in prompt or story."""
    frequency_penalty: Penalty = 0.0
    """Taken from a token's logit as often as the story, without its prompt, has the token."""
    presence_penalty: Penalty = 0.0
    """Taken once from the logit of each token that the story, without its prompt, has."""
    no_repeat_ngram_size: Annotated[
        int, Field(ge=0, le=1024, description="a whole number from 0 (off) to 1024")
    ] = 0
    """No n-gram of this many tokens appears twice in prompt and story; 0 allows all. But a word of
    many tokens may be told again to its end, as it stood there before: names are such words."""
    memfree: Annotated[bool, Field(description="true or false")] = False
    """No passage of the training texts: see `generator.sampling.memfree`. This rule is the
    last, and our own name for it."""


def _listed(given: object) -> object:
    return tuple(given) if isinstance(given, list) else given


BadWords = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=100)], ...],
    BeforeValidator(_listed),
    Field(max_length=1000, description="a list of up to 1000 strings of 1 to 100 characters"),
]


class StorySettings(Sampling):
    """What a model folder's generation_config.json may say of its stories; OpenAI's defaults."""

    max_new_tokens: MaxTokens = 16
    min_new_tokens: MinTokens = 0
    num_beams: Beams = 1
    bad_words: BadWords = ()
    """vLLM's name: words, or some in a row, that the model never says, however it begins them
    (capitals or not): their last token is not drawn. For the model as a whole."""

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> tuple[Self, dict[str, str]]:
        """The settings among `given`; what is null or cannot be is left at its default.

        Returns:
            The settings, and for each that cannot be what it takes, in words.
        """
        known = {name: given[name] for name in cls.model_fields if given.get(name) is not None}
        try:
            return cls.model_validate(known), {}
        except ValidationError as error:
            wrong = {str(detail["loc"][0]) for detail in error.errors()}
        right = {name: value for name, value in known.items() if name not in wrong}
        takes = {name: cls.model_fields[name].description or "" for name in sorted(wrong)}
        return cls.model_validate(right), takes
