"""The server as its host sees it: models, keys, measures, and its end."""

from __future__ import annotations

import asyncio
import io
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from generator.config import EngineSettings
from generator.engine.registry import Registry
from generator.server.app import Server
from generator.server.languages import languages_of
from generator.server.log import open_log
from tests.generator.running import ENDLESS, client, running, until

if TYPE_CHECKING:
    from openai.types import Completion

STARTERS = Path(__file__).parents[2] / "models"

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_models_are_listed(api: openai.AsyncOpenAI) -> None:
    cards = {card.id: card async for card in api.models.list()}
    assert set(cards) == {"gpt2-small", "lstm-endless", "lstm-small"}
    assert {card.owned_by for card in cards.values()} == {"kataribe"}  # so a bot knows its own
    assert (await api.models.retrieve("lstm-small")).id == "lstm-small"


@pytest.mark.parametrize(
    ("front_matter", "known"),
    [
        ("language: en", ["en"]),
        ("language: [en, ja]", ["en", "ja"]),
        ("license: mit", []),
        ("language: no", []),  # YAML's own word for false
        ("language: {en: 1}", []),
        ("language: [", []),
        ("license: mit\nlanguage:\n# these two\n- en\n- ja\ntags:\n- fr", ["en", "ja"]),
        ("language:\n\n  - en", ["en"]),
        ("language: " + 800 * "[" + "en", []),  # deeper than Python recurses
        ("language: " + 3000 * " " + "en", []),
        ("model-index:\n" + 800 * "[" + "\nlanguage: en", ["en"]),  # no more of it is read
        ("- en", []),
        ("", []),
    ],
)
async def test_a_model_says_which_languages_its_card_names(
    tmp_path: Path, front_matter: str, known: list[str]
) -> None:
    (tmp_path / "README.md").write_text(f"---\n{front_matter}\n---\n# A model\n", encoding="utf-8")
    assert languages_of(tmp_path) == known
    assert languages_of(tmp_path / "nowhere") == []


async def test_a_pipe_in_a_cards_place_says_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "README.md")
    assert languages_of(tmp_path) == []


async def test_a_list_of_models_looks_at_their_folders_once(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look takes as long as there are models."""
    looks, look = 0, Registry.folders

    def counted(registry: Registry) -> dict[str, Path]:
        nonlocal looks
        looks += 1
        return look(registry)

    monkeypatch.setattr(Registry, "folders", counted)
    async with http.get("/v1/models") as response:
        assert len((await response.json())["data"]) == 3
    assert looks == 1


async def test_the_log_names_a_story_as_who_asked_for_it_and_no_other(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.StringIO()
    root = logging.getLogger()
    monkeypatch.setattr("sys.stderr", written)
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    open_log()
    wish = {"model": "lstm-small", "prompt": "In", "max_tokens": 2, "finish_sentence": False}
    wish["ignore_eos"] = True
    for named in ("story-7", "", "no\tname"):  # one after the other by the same connection
        headers = {"X-Request-Id": named} if named else {}
        async with http.post("/v1/completions", json=wish, headers=headers) as response:
            assert response.status == 200
            await response.read()
    told = [line.split(" INFO ")[1] for line in written.getvalue().splitlines()]
    line = "lstm-small told 2 tokens: length"
    assert told == [f"[story-7] {line}", line, line]


async def test_the_starters_know_english_and_models_without_a_card_say_nothing(
    http: aiohttp.ClientSession,
) -> None:
    async with http.get("/v1/models/lstm-small") as response:
        assert (await response.json())["languages"] == []
    for starter in ("gpt2-starter", "lstm-starter"):
        assert languages_of(STARTERS / starter) == ["en"]


async def test_the_host_loads_and_unloads(http: aiohttp.ClientSession) -> None:
    for act, held in (("unload", False), ("load", True), ("load", True)):
        async with http.post(f"/v1/models/lstm-small/{act}", json={}) as response:
            card = await response.json()
        assert card["loaded"] is held
        assert card["max_model_len"] == (128 if held else None)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "attacker.example"},  # DNS rebinding: its name means this machine now
        {"Host": "127.0.0.1.attacker.example:80"},
        {"Host": "[::1"},
        {"Origin": "https://attacker.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
    ],
)
async def test_no_web_page_is_answered(
    http: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    body = {"model": "lstm-small", "prompt": "In"}
    for method, path in (
        ("GET", "/v1/models"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/models/lstm-small/unload"),
    ):
        async with http.request(method, path, json=body, headers=headers) as response:
            assert response.status == 403
            assert (await response.json())["error"]["code"] == "host_only"


async def test_what_a_page_may_send_unasked_moves_no_model(http: aiohttp.ClientSession) -> None:
    """A form, a text, or no body at all needs no leave of the server."""
    everything: list[dict[str, Any]] = [{}, {"data": {"a": "form"}}, {"data": "{}"}]
    for sent in everything:
        async with http.post("/v1/models/lstm-small/unload", **sent) as response:
            assert response.status == 415
    async with http.get("/v1/models/lstm-small") as response:
        assert (await response.json())["loaded"]


async def test_a_programs_own_page_of_this_machine_is_answered(
    http: aiohttp.ClientSession, address: str
) -> None:
    port = address.rpartition(":")[2]
    for headers in ({"Origin": address}, {"Host": f"localhost:{port}"}, {"Host": f"[::1]:{port}"}):
        async with http.get("/v1/models", headers=headers) as response:
            assert response.status == 200


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


async def read_out(stream: openai.AsyncStream[Completion]) -> None:
    async for _ in stream:
        pass


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
        # Read all the time, so that the news of the end does not wait behind what is unread.
        readers = [asyncio.create_task(read_out(stream)) for stream in streams]
        await until(http, told=4, waiting=0)
        await server.close()
        for reader in readers:
            with pytest.raises(openai.APIError, match="cut") as caught:
                await reader
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
