"""Other people's completions servers: what they say, leave out, and do not know."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from bot.config import RemoteModel
from bot.config import Stories as StorySettings
from bot.worker.completions import (
    GeneratorDownError,
    GeneratorFailedError,
    GeneratorModelGoneError,
    GeneratorRefusedError,
)
from bot.worker.completions_server import LONGEST_LIST, MODELS
from bot.worker.event_stream import LONGEST_EVENT, events
from tests.bot.completions_servers import (
    DONE,
    STORY,
    WHOLE,
    answering,
    client,
    event,
    failure,
    hearing,
    listing,
    server,
    streaming,
    tell,
    text,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.bot.completions_servers import Handler

PATIENCE = 20.0


async def told(*chunks: bytes) -> str:
    return "".join(piece.text for piece in await tell(streaming(*chunks)))


@pytest.mark.parametrize("reason", ["stop", "length", "eos", "eos_token", "stop_sequence", "STOP"])
async def test_a_story_is_told_when_the_server_says_that_it_ended_well(reason: str) -> None:
    assert await told(text("Once upon."), text("", reason), DONE) == "Once upon."


@pytest.mark.parametrize("reason", ["abort", "error", "tool_calls", "repetition"])
async def test_a_story_that_was_ended_is_tried_again(reason: str) -> None:
    chunks = (text("Once"), text("", reason), DONE)
    assert reason in await failure(streaming(*chunks), GeneratorFailedError)


async def test_a_story_that_a_filter_cut_is_not_tried_again() -> None:
    chunks = (text("Once"), text("", "content_filter"), DONE)
    assert "filter" in await failure(streaming(*chunks), GeneratorRefusedError)


async def test_a_server_that_calls_no_end_null_has_ended_with_its_last_event() -> None:
    for word in ("null", ""):
        pieces = (text("Once", word), text(" upon.", word))
        assert await told(*pieces, DONE) == "Once upon."
        assert "broke off" in await failure(streaming(*pieces), GeneratorFailedError)


async def test_a_text_that_is_null_is_no_text() -> None:
    end = event({"choices": [{"text": None, "index": 0, "finish_reason": "stop"}]})
    assert await told(text("Once upon."), end, DONE) == "Once upon."


async def test_choices_that_are_null_are_none() -> None:
    counts = event({"choices": None, "usage": {"completion_tokens": 2}})
    pieces = await tell(streaming(text("Once upon.", "stop"), counts, DONE))
    assert ("".join(piece.text for piece in pieces), pieces[-1].tokens) == ("Once upon.", 2)


async def test_a_byte_order_mark_is_no_text() -> None:
    assert await told(b"\xef\xbb\xbf" + text("Once upon.", "stop")) == "Once upon."


REFUSALS = [
    (400, {"error": {"message": "Unrecognized request argument supplied: {}", "param": None}}),
    (400, {"error": {"message": "Unknown parameter {}; known: seed, top_p", "param": "{}"}}),
    (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "{}"]}]}),
]


@pytest.mark.parametrize(("status", "body"), REFUSALS)
@pytest.mark.parametrize("owner", ["kataribe", "somebody"])
async def test_what_a_server_does_not_know_is_left_out_from_then_on(
    status: int, body: dict[str, Any], owner: str
) -> None:
    unknown = ("stream_options", "seed", "min_tokens")
    heard: list[dict[str, Any]] = []

    async def picky(request: web.Request) -> web.StreamResponse:
        wish = await request.json()
        # Our number of a story is nobody else's business.
        assert ("X-Request-Id" in request.headers) == (owner == "kataribe")
        for name in unknown:
            if name in wish:
                said = json.dumps(body).replace("{}", name)
                return web.Response(status=status, text=said, content_type="application/json")
        return await streaming(*WHOLE)(request)

    async with (
        server(hearing(heard, picky), listing("gpt2-starter", owner=owner)) as url,
        client(url) as completions,
    ):
        for _ in range(2):
            assert any([piece.text async for piece in completions.tell(STORY, "In the year")])
    asked = 2 + sum(name in heard[0] for name in unknown)
    assert len(heard) == asked
    assert not heard[-1].keys() & set(unknown)
    assert heard[-1]["prompt"] == "In the year"


async def test_what_every_server_has_to_know_is_not_left_out() -> None:
    said = json.dumps({"error": {"message": "Unsupported value: max_tokens is too large"}})
    heard: list[dict[str, Any]] = []
    await failure(hearing(heard, answering(400, said)), GeneratorRefusedError)
    assert len(heard) == 1


def flooding(chunk: bytes, times: int, gone: asyncio.Event) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        try:
            for _ in range(times):
                await answer.write(chunk)
        finally:
            gone.set()
        return answer

    return handler


@pytest.mark.parametrize(
    "chunk", [b"data: " + b"x" * 1000 + b"\n", b": " + b"x" * 1000], ids=["event", "line"]
)
async def test_an_event_that_never_ends_is_an_error_and_takes_no_memory(chunk: bytes) -> None:
    gone = asyncio.Event()
    tracemalloc.start()
    try:
        said = await failure(flooding(chunk, 100_000, gone), GeneratorFailedError)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(LONGEST_EVENT) in said
    assert peak < 16 * LONGEST_EVENT
    async with asyncio.timeout(PATIENCE):
        await gone.wait()


async def test_a_story_that_never_ends_is_cut_at_its_bound_and_told_with_what_came() -> None:
    gone = asyncio.Event()
    settings = StorySettings(text_limit=1234)
    flood = flooding(text(" and then" * 100), 10_000, gone)
    pieces = await tell(flood, settings=settings)
    assert "".join(piece.text for piece in pieces) == (" and then" * 200)[:1234]
    async with asyncio.timeout(PATIENCE):
        await gone.wait()


async def test_a_server_that_lives_and_says_no_word_is_given_up() -> None:
    gone = asyncio.Event()
    flood = flooding(b": still here\n\n" + text(""), 10_000_000, gone)
    said = await failure(flood, GeneratorFailedError, request_timeout=0.05)
    assert said == "no word came for 0.5 s"
    async with asyncio.timeout(PATIENCE):
        await gone.wait()


async def test_a_line_is_read_in_time_that_grows_with_it_however_it_comes() -> None:
    async def dripping() -> AsyncIterator[bytes]:
        yield b"data: "
        for _ in range(300_000):
            yield b"x"
        yield b"\n\n"

    assert [event async for event in events(dripping())] == ["x" * 300_000]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_wrong_key_is_said_once_and_the_stories_wait(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    closed = answering(status, json.dumps({"error": {"message": "Incorrect API key."}}))
    async with (
        server(closed) as url,
        client(
            url, remote={"far-one": RemoteModel(url=url)}, api_key=SecretStr("secret")
        ) as completions,
    ):
        for model in (STORY.model, "far-one"):
            story = type(STORY)(model=model, seed=1)
            for _ in range(2):
                with pytest.raises(GeneratorDownError):
                    await anext(completions.tell(story, "In the year"))
    own, far = (record.getMessage() for record in caplog.records if record.levelname == "ERROR")
    assert f"[generator], {url}" in own
    assert "KATARIBE_GENERATOR__API_KEY is no key that it takes" in own
    assert "Incorrect API key." in own
    assert "KATARIBE_MODELS__FAR-ONE__API_KEY is not set" in far
    assert "secret" not in caplog.text


async def test_a_key_that_was_wrong_again_is_said_again(caplog: pytest.LogCaptureFixture) -> None:
    answers = [answering(401), streaming(*WHOLE), answering(401)]

    async def handler(request: web.Request) -> web.StreamResponse:
        return await answers.pop(0)(request)

    async with server(handler) as url, client(url) as completions:
        for _ in range(3):
            with suppress(GeneratorDownError):
                assert any([piece.text async for piece in completions.tell(STORY, "In the year")])
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


async def test_an_address_without_completions_is_said_once_and_the_stories_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with server(models=listing("gpt2-starter")) as url, client(url) as completions:
        for _ in range(2):
            with pytest.raises(GeneratorDownError):
                await anext(completions.tell(STORY, "In the year"))
    (said,) = (record.getMessage() for record in caplog.records)
    assert f"[generator], {url}" in said
    assert "its url is wrong" in said


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_server_that_sends_us_on_is_not_followed(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[dict[str, Any]] = []
    # 127.0.0.1 under another name is another host, as far as a key is concerned.
    async with server(hearing(heard, streaming(*WHOLE))) as other:
        there = other.replace("127.0.0.1", "localhost") + "v1/completions"
        moved = answering(status, Location=there)
        async with server(moved) as url, client(url, api_key=SecretStr("secret")) as completions:
            for _ in range(2):
                with pytest.raises(GeneratorDownError, match="localhost"):
                    await anext(completions.tell(STORY, "In the year"))
    assert heard == []
    (said,) = (record.getMessage() for record in caplog.records)
    assert f"[generator], {url}, sends us on, and nobody follows: its url is wrong" in said
    assert there in said


@pytest.mark.parametrize(
    "error",
    [
        {"message": "The model `gpt2-starter` does not exist.", "code": 404},
        {"message": "Nothing of that name.", "code": "model_not_found"},
        "model 'gpt2-starter' not found, try pulling it first",
    ],
)
async def test_a_model_that_is_not_there_is_not_asked_for_again(error: object) -> None:
    missing = answering(404, json.dumps({"error": error}))
    assert "the model is not there" in await failure(missing, GeneratorModelGoneError)


@pytest.mark.parametrize("said", ["no\ud800 \0\x1b[2J\u202e" + "o" * 9000, ["no"] * 3000])
async def test_what_a_server_says_of_its_refusal_is_kept_as_a_line_that_can_be_read(
    said: object,
) -> None:
    body = json.dumps({"error": {"message": said}})
    kept = await failure(answering(400, body), GeneratorRefusedError)
    assert "no" in kept
    assert kept.isprintable()
    assert len(kept) < 600
    streamed = streaming(event({"error": {"message": "no" * 9000}}))
    assert len(await failure(streamed, GeneratorFailedError)) < 600
    ended = streaming(text("Once", "no" * 9000), DONE)
    assert len(await failure(ended, GeneratorFailedError)) < 600


@pytest.mark.parametrize("body", ["[]", '{"data": [{}]}', "<html>"])
async def test_a_list_of_models_that_is_none_is_a_failure(body: str) -> None:
    async with server(models=answering(200, body)) as url, client(url) as completions:
        with pytest.raises(GeneratorFailedError):
            await completions.served()


async def test_names_that_nobody_could_choose_are_left_out_of_the_list() -> None:
    names = ["a", "", "b", "a", "x" * 300, " c", "d\x1b[2J", "e\u202ef", "long " + "y" * 95]
    async with server(models=listing(*names)) as url, client(url) as completions:
        assert await completions.served() == ["a", "b", "long " + "y" * 95]


async def test_a_list_of_models_has_bounds() -> None:
    names = [f"model-{number}" for number in range(MODELS + 1)]
    async with server(models=listing(*names)) as url, client(url) as completions:
        assert await completions.served() == names[:MODELS]
    endless = listing("x" * (LONGEST_LIST + 1))
    async with server(models=endless) as url, client(url) as completions:
        with pytest.raises(GeneratorFailedError, match=str(LONGEST_LIST)):
            await completions.served()
