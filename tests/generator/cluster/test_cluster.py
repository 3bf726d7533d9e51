"""Two replicas behind one address: what they answer, who tells what, and what a death costs."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from contextlib import AsyncExitStack
from importlib.util import find_spec
from itertools import chain
from typing import TYPE_CHECKING, Any

import aiohttp
import psutil
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from generator.engine.loop import Engine
from generator.engine.registry import GIB
from generator.models.loading import load_model
from tests.generator.cluster.starting import KEY, started
from tests.generator.running import ENDLESS, running
from tests.generator.small_folders import save_gpt2, save_lstm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.generator.cluster.starting import Cluster

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        find_spec("ray") is None,
        reason="no Ray here: no cluster is tried (pip install '.[cluster]')",
    ),
]

EACH: dict[str, Any] = {"slots": 1, "waiting": 1, "threads": 1, "context": 1_000_000}
LIMIT = 65_536
PATIENCE = 120.0
STORY = {"model": "gpt2-small", "prompt": "In the year", "seed": 7, "temperature": 0.9}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models")
    save_gpt2(place / "gpt2-small", n_positions=512)
    save_lstm(place / "lstm-endless", max_position_embeddings=1_000_000)
    save_lstm(place / "lstm-small", seed=1)
    return place


@pytest.fixture(scope="module")
def room(models: Path) -> float:
    """GiB for any two of the models, and not for all three."""
    sizes = sorted(
        Engine(load_model(folder, device="cpu", reach=EACH["context"]), slots=1, threads=1).memory
        for folder in models.iterdir()
    )
    return (sum(sizes[1:]) + sizes[0] / 2) / GIB


@pytest.fixture(scope="module")
def cluster(
    models: Path, room: float, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    log = tmp_path_factory.mktemp("log") / "cluster.log"
    settings: dict[str, Any] = {"replicas": 2, "memory": room, "body-limit": LIMIT, **EACH}
    with started(models, log, **settings) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(cluster: Cluster) -> AsyncIterator[aiohttp.ClientSession]:
    async with session(cluster.address) as http:
        yield http


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plain(models: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """The server that answers without a cluster."""
    async with (
        running(models, api_keys=KEY, body_limit=LIMIT, **EACH) as address,
        session(address) as http,
    ):
        yield http


def session(address: str) -> aiohttp.ClientSession:
    patience = aiohttp.ClientTimeout(total=60)
    headers = {"Authorization": f"Bearer {KEY}"}
    return aiohttp.ClientSession(address, headers=headers, timeout=patience)


async def answered(
    http: aiohttp.ClientSession, method: str, path: str, **sent: Any
) -> tuple[int, dict[str, str | None], bytes]:
    """An answer, but for its own id and the time."""
    async with http.request(method, path, **sent) as response:
        body = await response.read()
    named = ("Content-Type", "Cache-Control", "X-Accel-Buffering", "Retry-After")
    headers = {name: response.headers.get(name) for name in named}
    body = re.sub(rb"cmpl-\w+", b"cmpl", body)
    return response.status, headers, re.sub(rb'"created":\d+', b'"created":0', body)


async def occupied(http: aiohttp.ClientSession) -> list[float]:
    """Stories that each replica tells."""
    async with http.get("/metrics") as response:
        page = await response.text()
    told: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == "kataribe_slots_in_use":
                replica = sample.labels["replica"]
                told[replica] = told.get(replica, 0) + sample.value
    return sorted(told.values())


async def until_occupied(http: aiohttp.ClientSession, *told: float) -> None:
    async with asyncio.timeout(PATIENCE):
        while await occupied(http) != list(told):
            pass


@pytest.mark.parametrize(
    "wish",
    [
        {"max_tokens": 24},
        {"max_tokens": 24, "stream": True, "stream_options": {"include_usage": True}},
        {"max_tokens": 6, "logprobs": 2, "echo": True},
        {"max_tokens": 9, "model": "lstm-small", "prompt": ["In the", "物語"]},
        {"max_tokens": 300, "temperature": 0, "finish_sentence": False},
    ],
    ids=["whole", "stream", "logprobs", "two prompts", "long"],
)
async def test_a_story_is_told_as_without_a_cluster(
    http: aiohttp.ClientSession, plain: aiohttp.ClientSession, wish: dict[str, Any]
) -> None:
    wish = STORY | wish
    ours, theirs = [
        await answered(one, "POST", "/v1/completions", json=wish) for one in (http, plain)
    ]
    assert ours[:2] == theirs[:2]
    assert joined(ours[2]) == joined(theirs[2])


def joined(body: bytes) -> list[Any]:
    """A whole answer as it is; a stream's events with the pieces of each choice put together.

    How many tokens come in an event hangs on how quick its reader is.
    """
    if not body.startswith(b"data: "):
        return [body]
    *events, done, end = body.split(b"\n\n")
    assert (done, end) == (b"data: [DONE]", b"")
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events]
    text = "".join(choice.pop("text") for chunk in chunks for choice in chunk["choices"])
    return [text, chunks[0]["seed"], chunks[-2:]]


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        (
            "POST",
            "/v1/completions",
            {"data": b"{", "headers": {"Content-Type": "application/json"}},
        ),
        ("POST", "/v1/completions", {"data": "prompt=In"}),
        ("POST", "/v1/completions", {"json": {"model": "nobody", "prompt": "In"}}),
        ("POST", "/v1/completions", {"json": {"model": 7, "prompt": "In"}}),
        ("POST", "/v1/completions", {"json": STORY | {"temprature": 1}}),
        ("POST", "/v1/completions", {"json": STORY | {"n": 3}}),
        ("POST", "/v1/completions", {"json": STORY | {"prompt": "In the year " * 200}}),
        ("POST", "/v1/completions", {"json": STORY | {"prompt": " " * LIMIT}}),
        ("GET", "/v1/completions", {}),
        ("GET", "/v1/models/nobody", {}),
        ("GET", "/v1/models/lstm-endless?loaded=please", {}),
        ("POST", "/v1/models/nobody/load", {"json": {}}),
        ("POST", "/v1/models/lstm-small/unload", {"data": "{}"}),
        ("GET", "/nowhere%20at/all?x=%2F", {}),
        ("GET", "/v1/models", {"headers": {"Authorization": "Bearer goose"}}),
        ("GET", "/v1/models", {"headers": {"Authorization": "Bearer 鶴"}}),
        ("GET", "/openapi.json", {}),
    ],
)
async def test_what_is_wrong_is_said_as_without_a_cluster(
    http: aiohttp.ClientSession,
    plain: aiohttp.ClientSession,
    method: str,
    path: str,
    sent: dict[str, Any],
) -> None:
    ours, theirs = [await answered(one, method, path, **sent) for one in (http, plain)]
    assert ours == theirs


async def test_a_model_is_loaded_where_there_is_room_and_the_longest_unused_one_leaves(
    http: aiohttp.ClientSession, plain: aiohttp.ClientSession, cluster: Cluster
) -> None:
    assert cluster.loaded == ["gpt2-small", "lstm-endless"]  # no replica has room for a third
    for model in ("lstm-small", "lstm-endless", "gpt2-small", "lstm-small"):
        wish = STORY | {"model": model, "max_tokens": 8}
        assert await answered(http, "POST", "/v1/completions", json=wish) == await answered(
            plain, "POST", "/v1/completions", json=wish
        )
        async with http.get(f"/v1/models/{model}") as response:
            assert (await response.json())["loaded"]
        assert all(len(models) <= 2 for models in (await loaded(http)).values())


async def loaded(http: aiohttp.ClientSession) -> dict[str, list[str]]:
    """The models of each replica."""
    async with http.get("/metrics") as response:
        page = await response.text()
    held: dict[str, list[str]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == "kataribe_model_bytes":
                held.setdefault(sample.labels["replica"], []).append(sample.labels["model"])
    return held


async def test_all_replicas_let_a_model_go(http: aiohttp.ClientSession) -> None:
    for act, held in (("load", True), ("unload", False), ("load", True)):
        async with http.post(f"/v1/models/gpt2-small/{act}", json={}) as response:
            assert (await response.json())["loaded"] is held
        async with http.get("/v1/models") as response:
            cards = {card["id"]: card["loaded"] for card in (await response.json())["data"]}
        assert cards["gpt2-small"] is held
        assert len(cards) == 3


async def test_a_model_that_is_let_go_may_end_its_stories(http: aiohttp.ClientSession) -> None:
    endless = ENDLESS | {"prompt": "In", "stream": True}
    async with http.post("/v1/completions", json=endless) as stream:
        await stream.content.readany()
        path = "/v1/models/lstm-endless/unload"
        unload = asyncio.create_task(answered(http, "POST", path, json={}))
        async with asyncio.timeout(PATIENCE):
            # Nobody is let in any more; where it tells, it is waited for.
            while "lstm-endless" in chain(*(await loaded(http)).values()):
                pass
        assert not unload.done()
    status, _, body = await unload
    assert (status, json.loads(body)["loaded"]) == (200, False)


async def test_who_shows_no_key_has_nothing_loaded(http: aiohttp.ClientSession) -> None:
    wish = STORY | {"model": "lstm-endless", "max_tokens": 1}
    wrong = {"Authorization": "Bearer goose"}
    for path, body in (("/v1/completions", wish), ("/v1/models/lstm-endless/load", {})):
        assert (await answered(http, "POST", path, json=body, headers=wrong))[0] == 401
    assert "lstm-endless" not in chain(*(await loaded(http)).values())


async def test_a_replica_that_is_stuck_is_said_to_be_and_the_others_answer(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    stuck = cluster.replicas()[0]
    stuck.suspend()
    try:
        async with asyncio.TaskGroup() as both:
            health, models, metrics = (
                both.create_task(answered(http, "GET", path))
                for path in ("/health", "/v1/models", "/metrics")
            )
    finally:
        stuck.resume()
    said = json.loads(health.result()[2])
    assert said["status"] == "ok"
    assert sorted(said["replicas"].values()) == ["does not answer", "ok"]
    assert len(json.loads(models.result()[2])["data"]) == 3
    up = re.findall(r"kataribe_replica_up\{replica=\"\w+\"\} (\S+)", metrics.result()[2].decode())
    assert sorted(up) == ["0.0", "1.0"]


async def test_the_log_names_a_story_as_who_asked_for_it(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    names = {"story-7", "story-8", "story-9"}
    wish = STORY | {"max_tokens": 5, "finish_sentence": False}
    for name in names:
        named = {"X-Request-Id": name}
        await answered(http, "POST", "/v1/completions", json=wish, headers=named)
    async with asyncio.timeout(PATIENCE):
        said: set[str] = set()
        while said != names:  # Ray brings a replica's lines when it likes
            log = await asyncio.to_thread(cluster.log.read_text, "utf-8")
            said = set(re.findall(r"\[(story-\d)\] gpt2-small told 5 tokens", log))


async def test_stories_go_where_the_line_is_short_and_too_many_are_told_so(
    http: aiohttp.ClientSession,
) -> None:
    endless = ENDLESS | {"prompt": "In", "stream": True}
    async with AsyncExitStack() as streams:
        for told in (1, 2):
            stream = await streams.enter_async_context(http.post("/v1/completions", json=endless))
            await stream.content.readany()
            await until_occupied(http, *([0] * (2 - told)), *([1] * told))
        async with http.get("/health") as response:
            health = (await response.json())["models"]["lstm-endless"]
        assert health == {"slots": 2, "slots_in_use": 2, "waiting": 0}
        waiting = [asyncio.create_task(stand_in_line(http, endless)) for _ in range(2)]
        await until_waiting(http, 2)
        status, headers, body = await answered(http, "POST", "/v1/completions", json=endless)
        assert (status, headers["Retry-After"]) == (429, "1")
        assert json.loads(body)["error"]["code"] == "slots_full"
        for one in waiting:
            one.cancel()
    # Who leaves frees a slot, or a place in the line.
    await until_occupied(http, 0, 0)


async def stand_in_line(http: aiohttp.ClientSession, wish: dict[str, Any]) -> None:
    """Where the one line that was asked is full, the other one may have room."""
    while (await answered(http, "POST", "/v1/completions", json=wish))[0] == 429:
        pass


async def until_waiting(http: aiohttp.ClientSession, stories: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            async with http.get("/health") as response:
                models = (await response.json())["models"].values()
            if sum(model["waiting"] for model in models) == stories:
                return


async def test_a_replica_that_dies_breaks_its_story_off_and_no_other(
    http: aiohttp.ClientSession, plain: aiohttp.ClientSession, cluster: Cluster
) -> None:
    before = cluster.replicas()
    endless = ENDLESS | {"prompt": "In", "stream": True}
    async with AsyncExitStack() as opened:
        streams = [
            await opened.enter_async_context(http.post("/v1/completions", json=endless))
            for _ in before
        ]
        await until_occupied(http, 1, 1)
        readers = [asyncio.create_task(read_out(stream)) for stream in streams]
        before[0].send_signal(signal.SIGKILL)
        done, going = await asyncio.wait(readers, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(aiohttp.ClientPayloadError):
            await done.pop()
        (other,) = going
        async with http.get("/health") as response:  # the time of an answer, and it is told on
            assert (await response.json())["status"] == "ok"
        assert not other.done()
        other.cancel()
    wish = STORY | {"max_tokens": 24, "stream": True}
    again = await answered(http, "POST", "/v1/completions", json=wish)
    told = await answered(plain, "POST", "/v1/completions", json=wish)
    assert joined(again[2]) == joined(told[2])


async def read_out(stream: aiohttp.ClientResponse) -> None:
    async for _ in stream.content.iter_any():
        pass


async def test_told_to_stop_it_ends_its_stories_and_leaves_nothing_behind(
    http: aiohttp.ClientSession, cluster: Cluster
) -> None:
    children = psutil.Process(cluster.process.pid).children(recursive=True)
    wish = ENDLESS | {"prompt": "In", "stream": True, "max_tokens": 5000, "min_tokens": 5000}
    async with http.post("/v1/completions", json=wish) as stream:
        first = await stream.content.readany()
        cluster.process.terminate()
        told = first + await stream.content.read()
    assert b'"finish_reason":"length"' in told
    assert told.endswith(b"data: [DONE]\n\n")
    assert await asyncio.to_thread(cluster.process.wait, 60) == 0
    assert psutil.wait_procs(children, timeout=30)[1] == []
