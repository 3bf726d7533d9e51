from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import pytest

from generator.engine.errors import EngineError
from generator.sampling.settings import StorySettings
from generator.server.defaults import settings_of
from generator.server.errors import ApiError, refusal
from generator.server.protocol import CompletionRequest

USUAL = StorySettings(
    temperature=0.7, top_k=50, top_p=0.9, min_p=0.1, repetition_penalty=1.1,
    no_repeat_ngram_size=3, memfree=True, max_new_tokens=200, min_new_tokens=9, num_beams=5,
)  # fmt: skip


def parse(**body: Any) -> CompletionRequest:
    return CompletionRequest.parse(json.dumps({"model": "m"} | body).encode())


@pytest.mark.parametrize(
    ("given", "prompts"),
    [
        ("In", ("In",)),
        (["In", "A"], ("In", "A")),
        ([5, 6], ((5, 6),)),
        ([[5], []], ((5,), ())),
        (None, ("",)),
    ],
)
def test_every_form_of_prompt_becomes_a_tuple_of_prompts(given: object, prompts: object) -> None:
    assert parse(prompt=given).prompt == prompts


@pytest.mark.parametrize("given", [[], [True], [1.5], [1, "a"], [-1], [2**31], {}, 7, [["a"]]])
def test_what_is_no_prompt_is_refused(given: object) -> None:
    with pytest.raises(ApiError, match=r"^prompt takes a string, a list of strings") as caught:
        parse(prompt=given)
    assert caught.value.param == "prompt"


def test_minus_one_is_no_seed_and_no_top_k_as_in_vllm() -> None:
    asked = parse(seed=-1, top_k=-1)
    assert asked.seed is None
    assert settings_of(asked, USUAL).top_k == 0
    for body in ({"seed": -2}, {"top_k": -2}, {"top_k": -1.0}, {"seed": "-1"}):
        with pytest.raises(ApiError, match=f"^{next(iter(body))} takes"):
            parse(**body)


def test_null_is_the_same_as_left_out() -> None:
    optional = set(CompletionRequest.model_fields) - {"model"}
    assert parse(**dict.fromkeys(optional)) == parse(**dict.fromkeys(optional - {"prompt", "stop"}))


def test_what_asks_for_nothing_is_accepted() -> None:
    parse(presence_penalty=0, frequency_penalty=0.0, logit_bias={}, suffix="", best_of=1, user="a")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"max_tokens": -1}, "max_tokens takes a whole number from 0 to 2147483647."),
        ({"max_tokens": 1.0}, "max_tokens takes a whole number from 0 to 2147483647."),
        ({"temperature": 2.1}, "temperature takes a number from 0 (always the likeliest token)"),
        ({"temperature": True}, "temperature takes a number from 0"),
        ({"stop": [""]}, "stop takes a string of 1 to 256 characters, or a list of up to 4"),
        ({"stop": {"a": 1}}, "stop takes a string of 1 to 256 characters"),
        ({"logprobs": 6}, "logprobs takes a whole number from 0 to 5."),
        (
            {"best_of": 2, "n": 3},
            "best_of takes a whole number from n to 128, and with stream only",
        ),
        ({"best_of": 2, "stream": True}, "best_of takes a whole number from n to 128"),
        ({"stream_options": {"x": 1}, "stream": True}, "stream_options takes an object like"),
        ({"model": 3}, "model takes the name of a served model"),
        ({"topk": 3}, "Unknown parameter 'topk'; known are model, prompt, max_tokens"),
    ],
)
def test_a_wrong_value_is_answered_with_what_the_parameter_takes(
    body: dict[str, Any], message: str
) -> None:
    with pytest.raises(ApiError) as caught:
        parse(**body)
    assert str(caught.value).startswith(message)
    assert caught.value.param == next(iter(body))


def test_a_missing_model_is_said_to_be_missing() -> None:
    with pytest.raises(ApiError, match="model is missing: the name of a served model"):
        CompletionRequest.parse(b"{}")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (HTTPStatus.BAD_REQUEST, "invalid_request_error"),
        (HTTPStatus.NOT_FOUND, "invalid_request_error"),
        (HTTPStatus.UNAUTHORIZED, "authentication_error"),
        (HTTPStatus.TOO_MANY_REQUESTS, "rate_limit_error"),
        (HTTPStatus.SERVICE_UNAVAILABLE, "server_error"),
    ],
)
def test_an_error_is_openais_object(status: HTTPStatus, kind: str) -> None:
    body = json.loads(ApiError(status, "No.", param="n", code="c").body())
    assert body == {"error": {"message": "No.", "type": kind, "param": "n", "code": "c"}}


def test_what_neither_request_nor_model_says_is_openais_default() -> None:
    settings = settings_of(parse(), StorySettings())
    assert (settings.temperature, settings.top_p, settings.max_new_tokens) == (1, 1, 16)


def test_the_request_wins_over_the_model() -> None:
    own = StorySettings(temperature=0.7, top_k=50, top_p=0.9, max_new_tokens=200, num_beams=5)
    assert settings_of(parse(top_k=0, top_p=1, min_p=0.1, max_tokens=9), own) == (
        StorySettings(temperature=0.7, min_p=0.1, max_new_tokens=9, num_beams=5)
    )


def test_a_temperature_next_to_nothing_is_greedy() -> None:
    assert settings_of(parse(temperature=1e-30), StorySettings()).temperature == 0


def test_the_shortest_is_no_longer_than_the_longest() -> None:
    own = StorySettings(min_new_tokens=30)
    with pytest.raises(ApiError, match="min_tokens takes at most max_tokens, which is 5") as caught:
        settings_of(parse(max_tokens=5, min_tokens=6), own)
    assert caught.value.param == "min_tokens"
    assert settings_of(parse(max_tokens=5), own).max_new_tokens == 5


def test_every_rule_that_is_declared_is_a_parameter_that_says_what_it_takes() -> None:
    of_requests = StorySettings.model_fields.keys() - {"bad_words"}  # the model's own alone
    for name in of_requests:
        field = StorySettings.model_fields[name]
        param = {"max_new_tokens": "max_tokens", "min_new_tokens": "min_tokens"}.get(name, name)
        with pytest.raises(ApiError) as caught:
            parse(**{param: "wrong"})
        assert (
            str(caught.value)
            == f"{param} takes {CompletionRequest.model_fields[param].description}."
        )
        # What is asked arrives, though the model is used to something else.
        assert getattr(settings_of(parse(**{param: field.default}), USUAL), name) == field.default


def every(kind: type[EngineError]) -> set[type[EngineError]]:
    return {kind}.union(*(every(one) for one in kind.__subclasses__()))


@pytest.mark.parametrize("kind", sorted(every(EngineError), key=str))
def test_every_error_of_the_engine_is_answered_in_its_own_words(kind: type[EngineError]) -> None:
    answer = refusal(kind("No room."))
    assert str(answer) == "No room."
    assert answer.code
    assert answer.retry_after or answer.status != HTTPStatus.TOO_MANY_REQUESTS
