"""What the completions API refuses, and how it says so."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import openai
import pytest

if TYPE_CHECKING:
    import aiohttp

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"Content-Type": "application/json"}
GZIP = {"Content-Encoding": "gzip"}


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("prompt", {"text": "In"}),
        ("prompt", [1, "In"]),
        ("prompt", [10**9]),
        ("prompt", [-1]),
        ("prompt", "night " * 1000),
        ("prompt", "night " * 5000),
        ("max_tokens", -1),
        ("max_tokens", 10**40),
        ("max_tokens", True),
        ("min_tokens", 99),
        ("temperature", -0.1),
        ("temperature", "hot"),
        ("top_p", 0),
        ("top_k", -2),
        ("n", 0),
        ("n", 13),
        ("stop", ""),
        ("stop", ["a", "b", "c", "d", "e"]),
        ("stop", [7]),
        ("seed", -2),
        ("seed", 2**63),
        ("memfree", 1),
        ("memfree", True),  # which its folder has no filter for
        ("stream", "yes"),
        ("stream_options", {"include_usage": True}),
        ("presence_penalty", 2.1),
        ("frequency_penalty", "much"),
        ("logprobs", 6),
        ("best_of", 0),
        ("best_of", 13),
        ("temperatur", 1),
        ("model", None),
    ],
)
async def test_a_wrong_parameter_is_named(
    api: openai.AsyncOpenAI, param: str, value: object
) -> None:
    body = {"model": "lstm-small", "prompt": "In", "max_tokens": 16, param: value}
    with pytest.raises(openai.BadRequestError) as caught:
        await api.post("/completions", body=body, cast_to=object)
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"model": "lstm-small", "prompt": "\xff\xfe"}',
        b'{"model": "lstm-small", "prompt": "\\ud800"}',
        b'{"model": "lstm-small", "temperature": NaN}',
        b'{"model": "lstm-small", "temperature": -Infinity}',
        b'{"model": "lstm-small", "top_p": 1e999}',
        b'{"model": "lstm-small", "x": ' + b"[" * 100_000,
    ],
)
async def test_a_body_that_is_no_request_is_answered_with_400(
    http: aiohttp.ClientSession, body: bytes
) -> None:
    async with http.post("/v1/completions", data=body, headers=JSON) as response:
        assert response.status == 400
        assert (await response.json())["error"]["message"]


async def test_every_error_is_openais_object(http: aiohttp.ClientSession) -> None:
    asked: list[tuple[str, str, dict[str, Any], int]] = [
        ("GET", "/v1/nothing", {}, 404),
        ("GET", "/v1/models/nothing", {}, 404),
        ("POST", "/v1/models/..%2Fno-model/load", {"json": {}}, 404),
        ("POST", "/v1/models/lstm-small/load", {}, 415),
        ("GET", "/v1/completions", {}, 405),
        ("POST", "/v1/completions", {"data": b"x", "headers": {"Content-Type": "text/plain"}}, 415),
        ("POST", "/v1/completions", {"data": io.BytesIO(b"x" * 2**21), "headers": JSON}, 413),
        ("POST", "/v1/completions", {"data": b"x", "headers": JSON | GZIP}, 400),
        ("POST", "/v1/completions", {"data": b"no gzip", "headers": JSON | GZIP}, 400),
    ]
    for method, path, body, status in asked:
        async with http.request(method, path, **body) as response:
            assert response.status == status
            assert (await response.json())["error"]["message"]


async def test_an_unknown_model_is_not_found(api: openai.AsyncOpenAI) -> None:
    for name in ("nothing", "no-model", "../models/gpt2-small", "x" * 500):
        with pytest.raises(
            openai.NotFoundError, match="gpt2-small, lstm-endless, lstm-small"
        ) as caught:
            await api.completions.create(model=name, prompt="In")
        assert caught.value.code == "model_not_found"
        assert caught.value.param == "model"
