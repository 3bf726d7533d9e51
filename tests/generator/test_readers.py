"""Readers who leave, come in crowds, are slow or wait long."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from typing import TYPE_CHECKING, Any

import aiohttp
import openai
import pytest
from yarl import URL

from tests.generator.running import ENDLESS, ask_and_leave, client, occupancy, running, until

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_reader_who_leaves_frees_the_slot(http: aiohttp.ClientSession) -> None:
    async with http.post("/v1/completions", json=ENDLESS | {"stream": True}) as response:
        assert (await response.content.readline()).startswith(b"data: ")
        assert await occupancy(http) == (1, 0)
        response.close()
    await until(http, told=0, waiting=0)
    async with http.get("/metrics") as response:
        assert 'kataribe_stories_total{end="cut",model="lstm-endless"} 1.0' in await response.text()


async def test_a_reader_of_the_whole_who_leaves_frees_all_slots(
    address: str, http: aiohttp.ClientSession
) -> None:
    body = json.dumps(ENDLESS | {"n": 6}).encode()
    _, writer = await asyncio.open_connection("127.0.0.1", URL(address).port)
    writer.write(
        b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    await until(http, told=4, waiting=2)
    writer.transport.abort()
    await until(http, told=0, waiting=0)


@pytest.mark.parametrize("stream", [False, True])
async def test_who_leaves_before_the_answer_begins_is_no_mistake_of_ours(
    address: str, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture, *, stream: bool
) -> None:
    for _ in range(10):
        await ask_and_leave(address, ENDLESS | {"stream": stream})
    await until(http, told=0, waiting=0)
    assert "failed" not in caplog.text


async def test_a_crowd_that_comes_and_goes_leaves_nothing_behind(
    http: aiohttp.ClientSession,
) -> None:
    chance = random.Random(1)

    async def ask(body: dict[str, object], patience: int) -> int:
        async with http.post("/v1/completions", json=body) as response:
            for _ in range(patience):
                if not await response.content.readline():
                    break
            else:
                response.close()
            return response.status

    def visitor() -> Coroutine[object, object, int]:
        body: dict[str, object] = {
            "model": chance.choice(["gpt2-small", "lstm-small"]),
            "max_tokens": chance.randrange(1, 100),
            "n": chance.choice([1, 1, 1, 3]),
            "num_beams": chance.choice([1] * 9 + [2]),
            "stream": chance.random() < 0.7,
        }
        if chance.random() < 0.2:
            body |= ENDLESS | {"stream": True, "num_beams": 1}
        return ask(body, patience=chance.randrange(1, 30))

    statuses = [
        status for _ in range(6) for status in await asyncio.gather(*(visitor() for _ in range(15)))
    ]
    assert 200 in statuses
    assert set(statuses) <= {200, 429}
    await until(http, told=0, waiting=0)


async def test_a_stop_string_frees_the_slot(http: aiohttp.ClientSession) -> None:
    body = ENDLESS | {"stop": ["a", "e", "i", "o"]}
    async with http.post("/v1/completions", json=body) as response:
        assert (await response.json())["choices"][0]["finish_reason"] == "stop"
    await until(http, told=0, waiting=0)


async def test_a_full_model_says_when_to_come_again(models: Path) -> None:
    async with (
        running(models, slots=1, waiting=1) as address,
        aiohttp.ClientSession(address) as http,
        client(address) as api,
    ):
        asked: dict[str, Any] = {"model": "lstm-endless", "prompt": "In"}
        with pytest.raises(openai.BadRequestError):
            await api.completions.create(**asked, n=3)
        async with http.post("/v1/completions", json=ENDLESS | {"stream": True}):
            with pytest.raises(openai.RateLimitError) as caught:
                await api.completions.create(**asked, n=2)
            assert int(caught.value.response.headers["Retry-After"]) > 0
            assert caught.value.code == "slots_full"
            # The one of the two that had found room has left it again.
            async with http.post("/v1/completions", json=ENDLESS | {"stream": True}):
                with pytest.raises(openai.RateLimitError):
                    await api.completions.create(**asked)


async def test_a_slow_reader_misses_nothing_and_delays_nobody(
    http: aiohttp.ClientSession, address: str
) -> None:
    # More than the sockets hold: the server has to keep some until the reader goes on.
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", URL(address).port))
    tokens = 2000
    body: dict[str, object] = {"model": "lstm-endless", "max_tokens": tokens, "min_tokens": tokens}
    body |= {"seed": 3, "finish_sentence": False}
    async with http.post("/v1/completions", json=body) as response:
        whole = (await response.json())["choices"][0]["text"]
    reader, writer = await asyncio.open_connection(sock=narrow, limit=1024)
    content = json.dumps(body | {"stream": True}).encode()
    writer.write(
        b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)
    )
    await reader.readuntil(b"\r\n\r\n")
    await until(http, told=0, waiting=0)  # told to its end, and hardly any of it read
    answer = await reader.read(-1)
    writer.close()
    events = [line for line in answer.split(b"\n") if line.startswith(b"data: {")]
    texts = [json.loads(event.removeprefix(b"data: "))["choices"][0]["text"] for event in events]
    assert "".join(texts) == whole
    assert answer.count(b"data: [DONE]\n\n") == 1


async def test_a_long_silence_is_broken_by_comments(
    api: openai.AsyncOpenAI, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generator.server.answers.HEARTBEAT", 0.01)
    body = {"num_beams": 4, "min_tokens": 100}
    asked: dict[str, Any] = {"model": "gpt2-small", "max_tokens": 100, "stream": True, "seed": 1}
    async with http.post("/v1/completions", json=asked | body) as response:
        first = await response.content.readline()
    assert first.startswith(b": ")
    stream = await api.completions.create(prompt="In", **asked, extra_body=body)
    assert [chunk async for chunk in stream][-1].choices[0].finish_reason == "length"
