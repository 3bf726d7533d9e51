"""A bot that makes room for a new one of the same shards: who waits for whom, and for what."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import discord
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from bot import __main__ as bot
from bot.config import Discord, Settings
from bot.database import open_database, server_lock
from bot.database.lock import sole_user
from bot.database.queue import Queue
from bot.database.server_lock import Member
from bot.playground import Playground
from bot.safety.word_filter import house_filter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.config import Shards
    from bot.database import Database

on_postgresql = pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)

COMES = text("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE :name")


@pytest.fixture
async def playground(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Playground]:
    monkeypatch.setattr(discord.http.Route, "BASE", "")
    monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", None)
    async with Playground(port=0) as opened:
        yield opened


@pytest.fixture
def settings(playground: Playground, database_url: str) -> Settings:
    """Those of a bot that has one of two shards."""
    of_discord = {
        "api_url": playground.api_url,
        "gateway_url": playground.gateway_url,
        "shards": "0/2",
    }
    given = Settings()
    return given.model_copy(
        update={
            "token": SecretStr(playground.token),
            "discord": Discord.model_validate(of_discord),
            "database": given.database.model_copy(update={"url": database_url}),
            "generator": given.generator.model_copy(update={"url": "http://127.0.0.1:9"}),
        }
    )


async def online(begins: asyncio.Task[None], capsys: pytest.CaptureFixture[str]) -> None:
    async with asyncio.timeout(60):
        while "is on Discord as" not in capsys.readouterr().out:
            assert not begins.done()
            await asyncio.sleep(0)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(bot.run(settings))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


def shards_of(settings: Settings) -> Shards:
    assert settings.discord.shards is not None
    return settings.discord.shards


@on_postgresql
async def test_who_waits_for_shards_has_made_ready_what_it_can(
    settings: Settings, database: Database
) -> None:
    stops = Member("stops", shards_of(settings), bot="bot")
    async with sole_user(settings.database.url, stops):
        house_filter.cache_clear()
        async with running(settings) as comes, database.engine.connect() as connection:
            async with asyncio.timeout(60):
                while not await connection.scalar(COMES, {"name": "%:%:%"}):
                    await connection.rollback()
                    assert not comes.done()
            assert house_filter.cache_info().currsize == 1


@on_postgresql
async def test_who_stops_lets_go_of_its_shards_before_what_nobody_waits_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closes, may_close = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def slowly(url: str, pooler: str) -> AsyncIterator[Database]:
        async with open_database(url, pooler) as opened:
            try:
                yield opened
            finally:
                closes.set()
                await may_close.wait()

    monkeypatch.setattr(bot, "open_database", slowly)
    monkeypatch.setattr(server_lock, "HANDED_OVER_WITHIN", 0.0)
    async with running(settings) as stops:
        await online(stops, capsys)
        stops.cancel()
        async with asyncio.timeout(60):
            await closes.wait()
        assert settings.token is not None
        name, _, _ = settings.token.get_secret_value().partition(".")
        try:
            async with sole_user(settings.database.url, Member("new", shards_of(settings), name)):
                pass
        finally:
            may_close.set()


@on_postgresql
async def test_who_stops_hears_nothing_while_it_gives_its_stories_back(
    settings: Settings,
    playground: Playground,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    heard: list[bool] = []
    released = Queue.release

    async def release(queue: Queue, *given: Any) -> None:
        heard.append(playground.gateway.online)
        await released(queue, *given)

    monkeypatch.setattr(Queue, "release", release)
    async with running(settings) as stops:
        await online(stops, capsys)
        assert playground.gateway.online
    assert heard == [False]


def test_who_waits_for_shards_gives_up_no_sooner_than_who_stops_is_ended() -> None:
    unit = Path(__file__).parents[3] / "deploy" / "kataribe.service"
    ends = re.search(r"TimeoutStopSec=(\d+)", unit.read_text(encoding="utf-8"))
    assert ends is not None
    assert int(ends[1]) <= server_lock.HANDED_OVER_WITHIN
