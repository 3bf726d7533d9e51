"""`python -m bot` as its host meets it: what it says, how it ends, where it connects."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import discord
import pytest
from discord.gateway import DiscordWebSocket

from bot.__main__ import _until_cancelled, main
from bot.database.lock import sole_user
from bot.playground import Playground
from bot.playground.visitor import Visitor, visit
from tests.running import running_bot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.bot.teller import Teller

PATIENCE = 120.0


@asynccontextmanager
async def another_discord() -> AsyncIterator[Playground]:
    async with Playground(port=0, deadline=30) as discord:
        yield discord


def settings_of(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a bot that cannot run for one reason only."""
    return {
        "KATARIBE_DATABASE__URL": f"sqlite+aiosqlite:///{folder / 'kataribe.db'}",
        "KATARIBE_PLAYGROUND__PORT": "0",
        "KATARIBE_GENERATOR__URL": "http://127.0.0.1:9",
        "KATARIBE_LOG__LEVEL": "error",
        **settings,
    }


Refusal: TypeAlias = "Callable[..., tuple[int, str]]"


@pytest.fixture
def refusal(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Refusal:
    """Starts a bot that cannot run, in this process; gives its status and the line it says."""

    def start(**settings: str) -> tuple[int, str]:
        for name, value in settings_of(tmp_path, **settings).items():
            monkeypatch.setenv(name, value)
        # Set back afterwards: which Discord it speaks to holds for a whole process.
        monkeypatch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
        gateway = DiscordWebSocket.DEFAULT_GATEWAY
        monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", gateway)
        status = main([])
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
        (line,) = capsys.readouterr().err.splitlines()
        return status, line

    return start


def test_help_teaches_how_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    for word in ("DISCORD_TOKEN", "playground", "config.toml", "KATARIBE_SECTION__NAME", "bench"):
        assert word in said


def test_wrong_settings_are_one_line_each_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KATARIBE_QUEUE__TELLERS", "many")
    assert main([]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "KATARIBE_QUEUE__TELLERS takes a whole number from 1 to 1000, not 'many'"
    ]
    missing = tmp_path / "missing.toml"
    assert main(["--config", str(missing)]) == 2
    assert capsys.readouterr().err == f"{missing}: there is no such file\n"


async def test_a_token_that_discord_refuses_is_one_sentence(tmp_path: Path) -> None:
    async with another_discord() as discord_:
        settings = settings_of(
            tmp_path,
            DISCORD_TOKEN="not.the.token",
            KATARIBE_DISCORD__API_URL=discord_.api_url,
            KATARIBE_DISCORD__GATEWAY_URL=discord_.gateway_url,
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot"),
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | settings,
        )
        async with asyncio.timeout(PATIENCE):
            _, said = await process.communicate()
    assert process.returncode == 1
    (line,) = said.decode().splitlines()
    assert "refuses the token in DISCORD_TOKEN" in line
    assert "not.the.token" not in line


def test_a_discord_that_cannot_be_reached_is_one_sentence(refusal: Refusal) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        api_url = f"http://127.0.0.1:{taken.getsockname()[1]}/api/v10"
        status, line = refusal(DISCORD_TOKEN="x", KATARIBE_DISCORD__API_URL=api_url)
    assert status == 1
    assert line.startswith(f"Discord cannot be reached at {api_url}: ")


@pytest.mark.parametrize("section", ["PLAYGROUND", "HEALTH"])
def test_a_port_in_use_is_one_sentence(refusal: Refusal, section: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, line = refusal(**{f"KATARIBE_{section}__PORT": port})
    assert status == 1
    assert port in line


def test_a_second_bot_on_the_same_file_is_one_sentence(tmp_path: Path, refusal: Refusal) -> None:
    first = sole_user(f"sqlite+aiosqlite:///{tmp_path / 'kataribe.db'}")
    opened = AsyncExitStack()
    with asyncio.Runner() as runner:
        runner.run(opened.enter_async_context(first))
        status, line = refusal()
        runner.run(opened.aclose())
    assert status == 1
    assert "Another bot" in line


def test_a_generator_with_wrong_settings_is_one_sentence(refusal: Refusal) -> None:
    status, line = refusal(KATARIBE_GENERATOR__URL="", KATARIBE_ENGINE__SLOTS="many")
    assert status == 2
    assert "engine.slots" in line


def story_in(visitor: Visitor, text: str) -> bool:
    return any(text in str(message["embeds"]) for message in visitor.messages.values())


async def test_with_a_token_and_an_address_it_tells_stories_there(
    tmp_path: Path, tells: Teller
) -> None:
    async with (
        another_discord() as discord,
        running_bot(
            tmp_path,
            token=discord.token,
            DISCORD__API_URL=discord.api_url,
            DISCORD__GATEWAY_URL=discord.gateway_url,
            GENERATOR__URL=tells.url,
        ) as bot,
    ):
        assert bot.greeting.startswith("Kataribe is on Discord as ")
        async with visit(discord.url, "haru") as haru, asyncio.timeout(PATIENCE):
            await haru.command("story", {"prompt": "In the year"})
            await haru.until(lambda: story_in(haru, "a fox found the moon."))
        assert await bot.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_order(
    tmp_path: Path, tells: Teller, number: signal.Signals
) -> None:
    async with running_bot(tmp_path, GENERATOR__URL=tells.url) as bot:
        async with visit(bot.address, "haru") as haru, asyncio.timeout(PATIENCE):
            await haru.command("story", {"prompt": "In the year"})
            await haru.until(lambda: story_in(haru, "a fox found the moon."))
        assert await bot.stop(number) == 0
    async with sole_user(f"sqlite+aiosqlite:///{tmp_path / 'kataribe.db'}"):
        pass


async def test_what_forgets_that_it_was_cancelled_is_cancelled_again() -> None:
    forgot = asyncio.Event()

    async def connects() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            forgot.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(_until_cancelled(connects()))
    await asyncio.sleep(0)
    running.cancel()
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait([running])
    assert running.cancelled()
    assert forgot.is_set()
