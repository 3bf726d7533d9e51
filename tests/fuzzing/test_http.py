"""No bad request is answered with a fault of ours; `make fuzz` sends ten thousand."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import TYPE_CHECKING

import aiohttp
import pytest

from bot.config import Health
from bot.hosting.health import health_page
from bot.playground import Playground
from generator.config import EngineSettings
from generator.server.app import Server
from generator.server.protocol import CompletionRequest, ModelCard
from generator.server.protocol import Health as Ready
from tests.bot.world import world
from tests.fuzzing import targets
from tests.fuzzing.open_playground import unlimited
from tests.fuzzing.requests import Answers
from tests.generator.running import running
from tests.generator.small_folders import save_lstm

if TYPE_CHECKING:
    from pathlib import Path


async def test_the_generator_survives_what_it_is_sent(tmp_path: Path) -> None:
    save_lstm(tmp_path / "lstm-small")
    answers = Answers()
    async with running(tmp_path) as address:
        await asyncio.to_thread(targets.generator, address, ["lstm-small"], answers, 60)
        async with aiohttp.ClientSession(address) as http, http.get("/openapi.json") as answer:
            assert await answer.json() == json.loads(targets.DESCRIPTION.read_text("utf-8"))
    assert answers.statuses[200] > 0
    assert answers.statuses[400] > 0


async def test_the_playground_survives_what_it_is_sent() -> None:
    answers = Answers()
    async with Playground(port=0, rate_limits=unlimited()) as playground:
        await asyncio.to_thread(targets.playground, playground.url, answers, 80)
    assert answers.statuses[200] > 0
    assert answers.statuses[400] > 0


async def test_the_bots_page_survives_what_it_is_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answers = Answers()
    caplog.set_level(logging.INFO, "bot")
    async with world(tmp_path) as w, health_page(Health(port=0), w.client):
        found = re.search(r"(http://\S+)/health", caplog.text)
        assert found is not None
        await asyncio.to_thread(targets.health, found[1], answers, 60)
    assert answers.statuses[200] + answers.statuses[503] > 0


@pytest.mark.parametrize("key", ["Bearer \udcff", "Bearer anothér", ""])
async def test_a_key_that_is_no_text_is_no_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    caplog.set_level(logging.INFO, "bot")
    settings = Health.model_validate({"port": 0, "api_key": "a-long-secret"})
    async with world(tmp_path) as w, health_page(settings, w.client):
        found = re.search(r"(http://\S+)/health", caplog.text)
        assert found is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", int(found[1].split(":")[2]))
        asked = f"GET /metrics HTTP/1.0\r\nAuthorization: {key}\r\n\r\n"
        writer.write(asked.encode(errors="surrogateescape"))
        assert b" 401 " in await reader.readline()
        writer.close()


async def test_the_bots_page_answers_no_web_page_without_a_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bot")
    async with world(tmp_path) as w, health_page(Health(port=0), w.client):
        found = re.search(r"(http://\S+)/health", caplog.text)
        assert found is not None
        async with aiohttp.ClientSession() as http:
            for host, status in (("attacker.example", 403), ("[::1", 403), ("localhost", 200)):
                asked = http.get(f"{found[1]}/metrics", headers={"Host": host})
                async with asked as answer:
                    assert answer.status == status


def test_every_route_and_field_of_the_protocol_is_described(tmp_path: Path) -> None:
    described = json.loads(targets.DESCRIPTION.read_text("utf-8"))
    operations = {
        (method.upper(), path)
        for path, item in described["paths"].items()
        for method in item
        if method != "parameters"
    }
    server = Server(EngineSettings(models=tmp_path))
    routes = {
        (route.method, route.resource.canonical)
        for route in server._app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert operations == routes
    for model in (CompletionRequest, ModelCard, Ready):
        schema = described["components"]["schemas"][model.__name__]
        assert set(schema["properties"]) == set(model.model_fields), model
        for name, field in model.model_fields.items():
            if field.description:
                assert schema["properties"][name]["description"] == field.description
