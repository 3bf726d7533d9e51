"""Who watches over a bot asks it how it is, what it measured, and reads its log by program."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import re
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from bot.__main__ import run
from bot.config import Discord, Health, Log, Settings, SettingsError
from bot.database.tables import State, Story
from bot.database.unbroken import unbroken
from bot.hosting import health
from bot.hosting.log import open_log
from bot.playground import Playground
from bot.playground.visitor import visit
from bot.worker import catalogue
from bot.worker.metrics import Metrics
from tests.bot.teller import STORY, teller
from tests.bot.world import world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATIENCE = 30.0
KEY = "a-long-secret"
TOLD = STORY.strip()


class Watcher:
    """Asks one bot how it is."""

    def __init__(self, address: str, http: aiohttp.ClientSession) -> None:
        self._address = address
        self._http = http

    async def until(self, status: str, part: str = "") -> dict[str, Any]:
        """Wait until the bot says that it is so, in its whole and of a part."""
        async with asyncio.timeout(PATIENCE):
            while True:
                async with self._http.get(f"{self._address}/health") as answer:
                    said = await answer.json()
                    well = answer.status == HTTPStatus.OK
                assert well == (said["status"] == "well")
                if said["status"] == status and said["parts"].get(part) != "well":
                    return dict(said)

    async def metrics(self, key: str = KEY) -> str:
        headers = {"Authorization": f"Bearer {key}"}
        async with self._http.get(f"{self._address}/metrics", headers=headers) as answer:
            answer.raise_for_status()
            return await answer.text()


@asynccontextmanager
async def watched(discord: Playground, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Watcher]:
    """A bot in this process, on a Discord that may go away."""
    settings = Settings.load().model_copy(
        update={
            "token": SecretStr(discord.token),
            "discord": Discord(api_url=discord.api_url, gateway_url=discord.gateway_url),
            "health": Health(port=0, api_key=SecretStr(KEY)),
        }
    )
    caplog.set_level(logging.INFO, "bot")
    running = asyncio.create_task(run(settings))
    try:
        async with asyncio.timeout(PATIENCE):
            while (found := re.search(r"(http://\S+)/health", caplog.text)) is None:
                assert not running.done(), running.exception()
                await asyncio.sleep(0)
        async with aiohttp.ClientSession() as http:
            yield Watcher(found[1], http)
    finally:
        if not running.done():
            os.kill(os.getpid(), signal.SIGTERM)
        await running


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(health, "GRACE", 0.0)
    monkeypatch.setattr(health, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(catalogue, "FRESH", 0.0)
    monkeypatch.setenv("KATARIBE_DATABASE__URL", f"sqlite+aiosqlite:///{tmp_path / 'k.db'}")


async def test_a_bot_that_is_deaf_or_has_no_teller_is_not_well_though_it_runs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as discord_runs, AsyncExitStack() as generator_runs:
        tells = await generator_runs.enter_async_context(teller())
        monkeypatch.setenv("KATARIBE_GENERATOR__URL", tells.url)
        discord = await discord_runs.enter_async_context(Playground(port=0))
        async with watched(discord, caplog) as bot:
            assert set((await bot.until("well"))["parts"].values()) == {"well"}
            await hear_a_story(discord)
            page = await bot.metrics()
            assert 'kataribe_bot_stories_asked_total{model="gpt2-starter"} 1.0' in page
            assert re.search(r'acknowledgement_seconds_count\{kind="application_command"\} 1', page)
            assert re.search(r'discord_requests_total\{method="PATCH",status="200"\} [1-9]', page)
            assert 'kataribe_bot_gateway_connected{shard="0"} 1.0' in page
            assert "process_resident_memory_bytes" in page
            with pytest.raises(aiohttp.ClientResponseError, match="401"):
                await bot.metrics("another")
            await generator_runs.aclose()
            said = await bot.until("ill", "generator")
            assert said["parts"]["generator"] == "the generator does not answer"
            await discord_runs.aclose()
            said = await bot.until("ill", "gateway")
            assert said["parts"]["gateway"] == "shard 0 hears nothing from Discord"
            assert 'kataribe_bot_gateway_connected{shard="0"} 0.0' in await bot.metrics()


async def hear_a_story(discord: Playground) -> None:
    async with visit(discord.url) as member:
        await member.command("story", {"prompt": "Zero"})
        await member.until(
            lambda: next((one for one in member.messages.values() if TOLD in str(one)), None)
        )


async def test_a_queue_that_stands_still_is_not_well(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        watch = health.Health(w.client)
        w.teller.hold()
        w.services.bell.paused = True
        await w.aki.slash(w.channel, "story", prompt="Zero")
        w.services.metrics.moved_at -= health.STUCK + 1
        await watch.look()
        assert "queue" not in unwell(watch)  # its host wants it so
        w.services.bell.paused = False
        await watch.look()
        assert unwell(watch)["queue"].startswith("1 stories wait")


async def test_a_database_that_never_answers_is_not_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = asyncio.Event()

    @unbroken
    class Hanging:
        async def live(self) -> dict[State, int]:
            await hangs.wait()
            return {State.QUEUED: 1}

    monkeypatch.setattr(health, "_DATABASE_WITHIN", 0.01)
    async with world(tmp_path) as w:
        monkeypatch.setattr(w.services.queue, "live", Hanging().live)
        watch = health.Health(w.client)
        for _ in range(2):
            await watch.look()
            assert unwell(watch)["database"] == "the database does not answer"
        hangs.set()
        await watch.look()
        assert "database" not in unwell(watch)


def unwell(watch: health.Health) -> dict[str, str]:
    _, said = watch.report()
    parts = said["parts"]
    assert isinstance(parts, dict)
    return {part: trouble for part, trouble in parts.items() if trouble != "well"}


def test_each_measure_of_one_of_several_bots_says_which() -> None:
    metrics = Metrics("0-3/16")
    metrics.asked(Story(model="gpt2-starter"))
    page = metrics.page({"queued": 2}, {0: (True, 0.1)}, 1).decode()
    samples = [
        sample for family in text_string_to_metric_families(page) for sample in family.samples
    ]
    assert {sample.labels["shards"] for sample in samples} == {"0-3/16"}
    assert 'gateway_connected{shard="0",shards="0-3/16"} 1.0' in page
    assert metrics.page({}, {}, 1).decode().count("0-3/16") == page.count("0-3/16")


def test_names_that_members_make_up_do_not_fill_the_measures() -> None:
    metrics = Metrics()
    for number in range(500):
        metrics.asked(Story(model=f"made up {number}"))
    page = metrics.page({}, {}, 1).decode()
    counts = re.findall(r"stories_asked_total\{.*\} ([0-9.]+)", page)
    assert (len(counts) < 200, sum(map(float, counts))) == (True, 500)


def test_others_read_it_with_a_key_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATARIBE_HEALTH__PORT", "8889")
    monkeypatch.setenv("KATARIBE_HEALTH__HOST", "0.0.0.0")  # noqa: S104  # what is refused
    with pytest.raises(SettingsError, match="KATARIBE_HEALTH__API_KEY"):
        Settings.load("missing.toml")
    monkeypatch.setenv("KATARIBE_HEALTH__API_KEY", KEY)
    assert Settings.load("missing.toml").health.port == 8889


async def test_the_log_follows_a_story_from_press_to_last_edit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    open_log(Log(format="json", level="INFO"))
    async with world(tmp_path) as w:
        await w.aki.slash(w.channel, "story", prompt="Zero")
        await w.told()
        await w.idle()
        assert w.teller.references == ["story-1"]  # in its own log too
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    ours = [line for line in lines if "Story 1 " in line["event"]]
    asked, *told = ours
    assert (asked["logger"], asked["level"]) == ("bot.services", "info")
    assert isinstance(asked["interaction"], int)
    assert [line["story"] for line in told] == [1, 1, 1]
    assert ["begins" in told[0]["event"], "is told" in told[1]["event"]] == [True, True]
    assert told[2]["event"] == "Story 1 is over (told), and shown"
    assert all("timestamp" in line for line in lines)
