from __future__ import annotations

import asyncio
import io
import json
import random
import socket
from typing import TYPE_CHECKING, Any

import aiohttp
import openai
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from generator.config import EngineSettings
from generator.server import Server
from tests.generator.running import client, running
from tests.generator.small_folders import save_gpt2, save_lstm
from tests.generator.small_models import byte_level_tokenizer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"Content-Type": "application/json"}
GZIP = {"Content-Encoding": "gzip"}
ENDLESS = {"model": "lstm-endless", "max_tokens": 900_000, "min_tokens": 900_000}
"""A story that is still being told when the test's patience ends."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models")
    gpt2 = save_gpt2(place / "gpt2-small", n_positions=512)
    (gpt2 / "generation_config.json").write_text(
        json.dumps({"eos_token_id": 0, "max_new_tokens": 7, "temperature": 0.0})
    )
    save_lstm(place / "lstm-small")
    save_lstm(place / "lstm-endless", max_position_embeddings=1_000_000)
    (place / "no-model").mkdir()
    return place


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(models: Path) -> AsyncIterator[str]:
    async with running(models, slots=4, waiting=8) as address:
        yield address


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(address: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client(address) as api:
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(address: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(address) as session:
        yield session


async def occupancy(http: aiohttp.ClientSession) -> tuple[int, int]:
    """Stories that are told and that wait, of all models together."""
    async with http.get("/health") as response:
        models = (await response.json())["models"].values()
    return sum(model["slots_in_use"] for model in models), sum(model["waiting"] for model in models)


async def until(http: aiohttp.ClientSession, *, told: int, waiting: int) -> None:
    async with asyncio.timeout(20):
        while await occupancy(http) != (told, waiting):
            pass


async def test_models_are_listed(api: openai.AsyncOpenAI) -> None:
    cards = {card.id: card async for card in api.models.list()}
    assert set(cards) == {"gpt2-small", "lstm-endless", "lstm-small"}
    assert (await api.models.retrieve("lstm-small")).id == "lstm-small"


@pytest.mark.parametrize("model", ["gpt2-small", "lstm-small"])
async def test_a_streamed_story_is_the_whole_story(api: openai.AsyncOpenAI, model: str) -> None:
    asked: dict[str, Any] = {
        "model": model,
        "prompt": "In the year",
        "max_tokens": 60,
        "seed": 7,
        "temperature": 1,
    }
    whole = await api.completions.create(**asked)
    stream = await api.completions.create(
        **asked, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    told = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.text for choice in told) == whole.choices[0].text
    assert [choice.finish_reason for choice in told[:-1]] == [None] * (len(told) - 1)
    assert told[-1].finish_reason == whole.choices[0].finish_reason
    assert not chunks[-1].choices
    assert chunks[-1].usage == whole.usage
    assert {chunk.id for chunk in chunks} == {chunks[0].id}


async def test_the_seed_that_was_drawn_tells_the_same_story_again(api: openai.AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": "lstm-small", "prompt": "In", "max_tokens": 30}
    first, other = [await api.completions.create(**asked) for _ in range(2)]
    assert first.model_extra
    again = await api.completions.create(**asked, seed=first.model_extra["seed"])
    assert again.choices[0].text == first.choices[0].text
    assert other.choices[0].text != first.choices[0].text


async def test_each_of_n_stories_of_each_prompt_is_its_own(api: openai.AsyncOpenAI) -> None:
    answer = await api.completions.create(
        model="lstm-small",
        prompt=["In the year", "a young man"],
        n=2,
        seed=5,
        max_tokens=20,
        echo=True,
    )
    texts = [choice.text for choice in answer.choices]
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert [text.startswith("In the year") for text in texts] == [True, True, False, False]
    assert len(set(texts)) == 4
    alone = await api.completions.create(
        model="lstm-small", prompt="a young man", seed=8, max_tokens=20, echo=True
    )
    assert alone.choices[0].text == texts[3]
    assert answer.usage
    assert answer.usage.prompt_tokens == sum(
        len(byte_level_tokenizer().encode(text).ids) for text in ["In the year", "a young man"]
    )


async def test_several_stories_stream_side_by_side(api: openai.AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": "lstm-small", "prompt": "In", "n": 3, "seed": 1}
    whole = await api.completions.create(**asked)
    texts = ["", "", ""]
    async for chunk in await api.completions.create(**asked, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == [choice.text for choice in whole.choices]


async def test_all_forms_of_a_prompt_are_understood(api: openai.AsyncOpenAI) -> None:
    ids = byte_level_tokenizer().encode("In the year").ids
    forms: list[Any] = ["In the year", ["In the year"], ids, [ids]]
    answers = [
        await api.completions.create(model="lstm-small", prompt=form, seed=3, echo=True)
        for form in forms
    ]
    assert len({answer.choices[0].text for answer in answers}) == 1


async def test_an_empty_prompt_begins_from_nothing(api: openai.AsyncOpenAI) -> None:
    forms: list[Any] = ["", [[]]]
    for form in forms:
        answer = await api.completions.create(
            model="lstm-small", prompt=form, seed=3, extra_body={"min_tokens": 9}
        )
        assert answer.usage
        assert answer.usage.prompt_tokens == 1
        assert answer.choices[0].text


async def test_what_is_left_out_is_the_models_own_default(api: openai.AsyncOpenAI) -> None:
    answers = [
        await api.completions.create(
            model="gpt2-small", prompt="In the year", extra_body={"finish_sentence": False}
        )
        for _ in range(2)
    ]
    assert answers[0].usage
    assert answers[0].usage.completion_tokens == 7
    assert answers[0].choices[0].text == answers[1].choices[0].text  # its temperature is 0


async def test_a_stop_string_ends_a_story_and_is_not_shown(api: openai.AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": "lstm-small", "prompt": "In", "seed": 2, "max_tokens": 60}
    full = (await api.completions.create(**asked)).choices[0].text
    stop = full[10:13]
    answer = await api.completions.create(**asked, stop=[stop, "\0never"])
    assert answer.choices[0].text == full[: full.index(stop)]
    assert answer.choices[0].finish_reason == "stop"


async def test_a_story_does_not_go_on_with_the_prompts_last_word(api: openai.AsyncOpenAI) -> None:
    async def first_letters(prompt: str, *, begin_word: bool) -> list[str]:
        # A few at a time: the server is small, and a story before may still be leaving it.
        answers = [
            await api.completions.create(
                model="lstm-small",
                prompt=prompt,
                seed=seed,
                n=4,
                max_tokens=1,
                extra_body={"begin_word": begin_word, "finish_sentence": False, "min_tokens": 1},
            )
            for seed in (1, 5, 9)
        ]
        return [choice.text[:1] for answer in answers for choice in answer.choices]

    inside = await first_letters("In the year", begin_word=False)
    assert any(letter.isalnum() for letter in inside)
    anew = await first_letters("In the year", begin_word=True)
    assert not any(letter.isalnum() for letter in anew)
    # After a space a word begins anyway.
    assert await first_letters("In the ", begin_word=True) == await first_letters(
        "In the ", begin_word=False
    )


async def test_the_articles_beams_tell_whole_and_streamed(api: openai.AsyncOpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "gpt2-small",
        "prompt": "In the year",
        "max_tokens": 30,
        "seed": 1,
        "temperature": 0.6,
        "extra_body": {"num_beams": 5, "no_repeat_ngram_size": 2, "min_tokens": 20, "top_k": 100},
    }
    whole = await api.completions.create(**asked)
    stream = await api.completions.create(**asked, stream=True)
    chunks = [chunk.choices[0] async for chunk in stream]
    assert whole.choices[0].text
    assert "".join(chunk.text for chunk in chunks) == whole.choices[0].text
    assert chunks[-1].finish_reason == whole.choices[0].finish_reason == "length"


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("prompt", {"text": "In"}),
        ("prompt", [1, "In"]),
        ("prompt", [10**9]),
        ("prompt", [-1]),
        ("prompt", "night " * 1000),
        ("prompt", "night " * 5000),
        ("max_tokens", 0),
        ("max_tokens", 10**40),
        ("max_tokens", True),
        ("min_tokens", 99),
        ("temperature", -0.1),
        ("temperature", "hot"),
        ("top_p", 0),
        ("top_k", -1),
        ("n", 0),
        ("n", 13),
        ("stop", ""),
        ("stop", ["a", "b", "c", "d", "e"]),
        ("stop", [7]),
        ("seed", -1),
        ("seed", 2**63),
        ("stream", "yes"),
        ("stream_options", {"include_usage": True}),
        ("presence_penalty", 0.5),
        ("logprobs", 1),
        ("best_of", 2),
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
        ("POST", "/v1/models/..%2Fno-model/load", {}, 404),
        ("GET", "/v1/completions", {}, 405),
        ("POST", "/v1/completions", {"data": b"x", "headers": {"Content-Type": "text/plain"}}, 415),
        ("POST", "/v1/completions", {"data": io.BytesIO(b"x" * 2**21), "headers": JSON}, 413),
        ("POST", "/v1/completions", {"data": b"x", "headers": JSON | GZIP}, 400),
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
        b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    await until(http, told=4, waiting=2)
    writer.transport.abort()
    await until(http, told=0, waiting=0)


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
        b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
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
    assert len(events) < tokens / 2  # what had gathered went out together


async def test_a_long_silence_is_broken_by_comments(
    api: openai.AsyncOpenAI, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generator.answers.HEARTBEAT", 0.01)
    body = {"num_beams": 4, "min_tokens": 100}
    asked: dict[str, Any] = {"model": "gpt2-small", "max_tokens": 100, "stream": True, "seed": 1}
    async with http.post("/v1/completions", json=asked | body) as response:
        first = await response.content.readline()
    assert first.startswith(b": ")
    stream = await api.completions.create(prompt="In", **asked, extra_body=body)
    assert [chunk async for chunk in stream][-1].choices[0].finish_reason == "length"


async def test_the_host_loads_and_unloads(http: aiohttp.ClientSession) -> None:
    for act, held in (("unload", False), ("load", True), ("load", True)):
        async with http.post(f"/v1/models/lstm-small/{act}") as response:
            card = await response.json()
        assert card["loaded"] is held
        assert card["max_model_len"] == (128 if held else None)


async def test_running_stories_get_their_ends_when_the_server_closes(models: Path) -> None:
    server = Server(EngineSettings(models=models, port=0, grace=60))
    async with client(await server.open()) as api:
        stream = await api.completions.create(
            model="gpt2-small",
            prompt="In",
            max_tokens=100,
            stream=True,
            extra_body={"min_tokens": 100},
        )
        await anext(stream)
        closing = asyncio.create_task(server.close())
        chunks = [chunk async for chunk in stream]
        assert chunks[-1].choices[0].finish_reason == "length"
        await closing
        with pytest.raises(openai.APIConnectionError):
            await api.models.list()


async def test_stories_that_do_not_end_in_time_are_cut_with_an_error(models: Path) -> None:
    server = Server(EngineSettings(models=models, port=0, grace=0))
    address = await server.open()
    async with client(address) as api, aiohttp.ClientSession(address) as http:
        asked: dict[str, Any] = {
            "model": "lstm-endless",
            "prompt": "In",
            "max_tokens": ENDLESS["max_tokens"],
        }
        body = {"min_tokens": ENDLESS["min_tokens"]}
        streams = [
            await api.completions.create(**asked, stream=True, extra_body=body | beams)
            for beams in ({}, {"num_beams": 2})
        ]
        whole = asyncio.create_task(api.completions.create(**asked, extra_body=body))
        await until(http, told=2, waiting=1)
        await server.close()
        for stream in streams:
            with pytest.raises(openai.APIError, match="cut") as caught:
                _ = [chunk async for chunk in stream]
            assert caught.value.code == "story_cut"
        with pytest.raises(openai.InternalServerError, match="cut"):
            await whole


async def test_only_a_key_opens_the_door(models: Path) -> None:
    async with running(models, api_keys="crane,turtle") as address:
        for key in ("crane", "turtle"):
            async with client(address, key) as api:
                assert (await api.completions.create(model="lstm-small", prompt="In")).choices
        for key in ("cran", "crane,turtle", "ключ"):
            async with (
                aiohttp.ClientSession(address) as http,
                http.get("/v1/models", headers={"Authorization": f"Bearer {key}"}) as response,
            ):
                assert response.status == 401
        async with client(address, "goose") as api:
            with pytest.raises(openai.AuthenticationError) as caught:
                await api.completions.create(model="lstm-small", prompt="In")
            assert caught.value.code == "invalid_api_key"
        async with aiohttp.ClientSession(address) as http:
            assert (await http.get("/health")).status == 200
            assert (await http.get("/metrics")).status == 401


async def test_prometheus_reads_what_happens(models: Path) -> None:
    async with running(models) as address, client(address) as api:
        await api.completions.create(
            model="lstm-small", prompt="In the year", max_tokens=9, extra_body={"min_tokens": 9}
        )
        async with aiohttp.ClientSession(address) as http, http.get("/metrics") as response:
            assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            page = await response.text()
    values = {
        sample.name: sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.labels.get("model") == "lstm-small"
        and sample.labels.get("kind", "completion") == "completion"
    }
    assert values["kataribe_tokens_total"] == 9
    assert values["kataribe_stories_total"] == 1
    assert values["kataribe_time_to_first_token_seconds_count"] == 1
    assert 0 <= values["kataribe_inter_token_seconds_count"] <= 8  # several may come at once
    assert values["kataribe_slots_in_use"] == 0
    assert values["kataribe_waiting"] == 0
    assert values["kataribe_model_bytes"] > 0
