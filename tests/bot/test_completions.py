"""The client against a real server that behaves well, badly, or not at all."""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
import json
import socket
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from bot.config import RemoteModel
from bot.config import Stories as StorySettings
from bot.database.tables import Story
from bot.worker.completions import (
    GeneratorBusyError,
    GeneratorDownError,
    GeneratorError,
    GeneratorFailedError,
    GeneratorRefusedError,
    Piece,
)
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


async def test_a_story_comes_piece_by_piece_and_its_tokens_are_the_servers() -> None:
    assert await tell(streaming(*WHOLE)) == [
        Piece("", 0),  # a server has begun
        Piece(" a 狐", 1),
        Piece(" found the moon", 2),
        Piece(".", 3),
        Piece("", 12, last=True),
    ]


async def test_a_server_that_does_not_count_is_counted_for() -> None:
    pieces = await tell(streaming(text(" one"), text(" two", "length"), DONE))
    assert pieces[-2:] == [Piece(" two", 2), Piece("", 2)]


async def test_what_no_database_keeps_is_left_out() -> None:
    pieces = await tell(streaming(text(" one\0"), text("\0", "stop")))
    assert pieces == [Piece("", 0), Piece(" one", 1), Piece("", 2), Piece("", 2, last=True)]


@pytest.mark.parametrize(
    "said",
    [
        {"message": "prompt takes fewer than 512 tokens.", "code": "context_length_exceeded"},
        {"message": "This model's maximum context length is 512 tokens.", "code": 400},
        {"message": "the request exceeds the available context size", "code": 400},
    ],
    ids=["OpenAI", "vLLM", "llama.cpp"],
)
async def test_of_a_beginning_that_a_model_does_not_read_it_reads_the_end(
    said: dict[str, object],
) -> None:
    heard: list[str] = []

    async def reads_fifty(request: web.Request) -> web.StreamResponse:
        heard.append((await request.json())["prompt"])
        if len(heard[-1]) > 50:
            return web.json_response({"error": said}, status=400)
        return await streaming(*WHOLE)(request)

    whole = "月が昇り、村は眠る。" * 29 + "狐は歌い、夜は明ける。"
    async with server(reads_fifty) as url, client(url) as completions:
        pieces = [piece async for piece in completions.tell(STORY, whole)]
    assert "".join(piece.text for piece in pieces) == " a 狐 found the moon."
    assert [len(prompt) <= 50 for prompt in heard] == [False, False, True]
    assert heard[-1].endswith("狐は歌い、夜は明ける。")


async def test_what_a_model_does_not_read_at_any_length_is_refused() -> None:
    error = {"message": "context length is 0", "code": "context_length_exceeded"}

    async def reads_nothing(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": error}, status=400)

    with pytest.raises(GeneratorRefusedError, match="context length is 0"):
        await tell(reads_nothing)


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
async def test_an_address_may_end_with_the_version_or_without(suffix: str) -> None:
    async with (
        server(streaming(*WHOLE), listing("a")) as url,
        client(url.rstrip("/") + suffix) as completions,
    ):
        assert await completions.served() == ["a"]
        assert any([piece.text async for piece in completions.tell(STORY, "In the year")])


SAMPLING = {
    "temperature": 0.8,
    "top_k": 0,
    "top_p": 0.9,
    "min_p": 0.05,
    "repetition_penalty": 1.2,
    "no_repeat_ngram_size": 3,
}


@pytest.mark.parametrize("sampling", [{}, SAMPLING], ids=["nothing", "everything"])
@pytest.mark.parametrize("owner", ["kataribe", "vllm", None])
async def test_a_server_hears_what_it_understands_of_the_settings_that_were_given(
    owner: str | None, sampling: dict[str, float]
) -> None:
    heard: list[dict[str, Any]] = []
    settings = StorySettings.model_validate(sampling)
    async with (
        server(hearing(heard, streaming(*WHOLE)), listing("gpt2-starter", owner=owner)) as url,
        client(url, settings=settings) as completions,
    ):
        async for _ in completions.tell(STORY, "In the year"):
            pass
    of_openai = {
        "model": "gpt2-starter",
        "prompt": "In the year",
        "seed": 2**62,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 220,
        **{name: value for name, value in sampling.items() if name in {"temperature", "top_p"}},
    }
    ours = {"min_tokens": 40, "begin_word": True, **sampling}
    assert heard == [of_openai | (ours if owner == "kataribe" else {})]


async def test_our_own_child_is_known_before_it_is_asked() -> None:
    heard: list[dict[str, Any]] = []
    async with server(hearing(heard, streaming(*WHOLE))) as url, client(None) as completions:
        completions.url = url
        async for _ in completions.tell(STORY, "In the year"):
            pass
    assert heard[0]["begin_word"] is True


async def test_a_further_server_tells_its_own_models_with_its_own_key() -> None:
    heard: list[tuple[str, str | None]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        heard.append(((await request.json())["model"], request.headers.get("Authorization")))
        return await streaming(*WHOLE)(request)

    async with server(handler) as far:
        remote = {
            "far": RemoteModel(url=far, model="org/far-7b", api_key=SecretStr("far key")),
            "same": RemoteModel(url=far),
        }
        async with client(far, api_key=SecretStr("own key"), remote=remote) as completions:
            for model in ("far", "same", "gpt2-starter"):
                async for _ in completions.tell(Story(model=model, seed=1), "In the year"):
                    pass
    assert heard == [
        ("org/far-7b", "Bearer far key"),
        ("same", None),
        ("gpt2-starter", "Bearer own key"),
    ]


async def chunked(stream: bytes, *cuts: int) -> AsyncIterator[bytes]:
    for start, end in zip((0, *cuts), (*cuts, len(stream)), strict=True):
        yield stream[start:end]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_events_are_the_same_wherever_the_stream_is_cut(end: str) -> None:
    lines = ["data: 狐", "", ": ping", "event: note", "data:two", "data:  lines", "", "", "data: x"]
    stream = end.join([*lines, "", "data: never ended"]).encode()
    whole = ["狐", "two\n lines", "x"]
    assert [data async for data in events(chunked(stream))] == whole
    assert [data async for data in events(chunked(stream, *range(1, len(stream))))] == whole
    for cut in range(1, len(stream)):
        assert [data async for data in events(chunked(stream, cut))] == whole


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "3"}, 3.0),
        ({"Retry_After": "0.5"}, 0.5),
        ({"Retry_After": "-1"}, 0.1),
        ({"Retry_After": "nan"}, 0.1),
        ({"Retry_After": "100000"}, 60.0),
        ({"Retry_After": "soon"}, 1.0),
        ({"Retry_After": f"Mon, 1 Jan {10**20} 00:00:00 GMT"}, 1.0),
        ({"Retry_After": f"Mon, 1 Jan 2027 00:00:00 +{10**20}"}, 1.0),
        ({}, 1.0),
    ],
)
@pytest.mark.parametrize("status", [429])
async def test_a_full_server_says_when_to_come_back(
    status: int, headers: dict[str, str], seconds: float
) -> None:
    with pytest.raises(GeneratorBusyError) as raised:
        await tell(answering(status, **headers))
    assert raised.value.retry_after == seconds


async def test_a_date_to_come_back_at_is_understood() -> None:
    at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=20)
    with pytest.raises(GeneratorBusyError) as raised:
        await tell(answering(503, Retry_After=email.utils.format_datetime(at, usegmt=True)))
    assert 10 < raised.value.retry_after <= 20


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, GeneratorRefusedError),
        (413, GeneratorRefusedError),
        (408, GeneratorFailedError),
        (500, GeneratorFailedError),
        (502, GeneratorDownError),
        (503, GeneratorDownError),
        (504, GeneratorDownError),
    ],
)
async def test_a_status_says_whether_to_ask_again(status: int, kind: type[GeneratorError]) -> None:
    openai = json.dumps({"error": {"message": "Not\nso.", "type": "x", "param": None}})
    assert f"answered {status}: Not so." in await failure(answering(status, openai), kind)
    for body in ("<html>", "[1]", '{"error": null}', "", "a\nb"):
        assert f"answered {status}: " in await failure(answering(status, body), kind)


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [text(" one")],
        [text(" one"), DONE],
        [text(" one"), b'data: {"choices": [{"te'],
        [text(" one"), b"data: {not json}\n\n"],
        [text(" one"), b'data: {"choices": 3}\n\n'],
        [text(" one"), b"data: \xff\n\n"],
        [text(" one"), event({"error": {"message": "out of memory"}})],
        [b"data: " + b"x" * (LONGEST_EVENT + 10)],
    ],
    ids=[
        "empty",
        "cut",
        "unfinished",
        "half",
        "no-json",
        "no-chunk",
        "no-utf8",
        "error",
        "endless",
    ],
)
async def test_a_stream_that_breaks_off_is_a_failed_attempt(chunks: list[bytes]) -> None:
    await failure(streaming(*chunks), GeneratorFailedError)


async def test_an_answer_that_is_no_stream_is_a_failed_attempt() -> None:
    whole = b'{"choices": [{"text": "all at once"}]}'
    said = await failure(streaming(whole, kind="application/json"), GeneratorFailedError)
    assert "application/json" in said


async def test_a_connection_lost_in_the_middle_is_a_failed_attempt() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(text(" one"))
        assert request.transport is not None
        request.transport.abort()
        return answer

    await failure(handler, GeneratorFailedError)


async def test_a_server_that_says_nothing_is_given_up() -> None:
    silent = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(text(" one"))
        await silent.wait()
        return answer

    try:
        said = await failure(handler, GeneratorFailedError, request_timeout=0.1)
    finally:
        silent.set()
    assert "said nothing for 0.1 s" in said


async def test_nobody_at_the_address_is_a_generator_that_is_down() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        for address in (url, None):
            async with client(address) as completions:
                with pytest.raises(GeneratorDownError):
                    await anext(completions.tell(STORY, "In the year"))
                with pytest.raises(GeneratorDownError):
                    await completions.served()


@pytest.mark.parametrize("leave", ["close", "cancel"])
async def test_who_leaves_closes_the_connection(leave: str) -> None:
    gone = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        try:
            while True:
                await answer.write(text(" on"))
                await asyncio.sleep(0)
        finally:
            gone.set()

    async with server(handler) as url, client(url) as completions:
        heard = asyncio.Event()

        async def listen() -> None:
            async with aclosing(completions.tell(STORY, "In the year")) as pieces:
                async for _ in pieces:
                    heard.set()
                    if leave == "close":
                        return

        listening = asyncio.create_task(listen())
        await heard.wait()
        if leave == "cancel":
            listening.cancel()
        await asyncio.wait([listening])
        async with asyncio.timeout(10):
            await gone.wait()
