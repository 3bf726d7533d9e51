"""Commands reach Discord when they changed, and a refusal stops nobody."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import aiohttp
import discord
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from discord import app_commands

from bot.command_sync import sync
from bot.playground import Playground
from tests.bot.world import page, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import simcord


def syncs(env: simcord.Env) -> int:
    """Times that the commands were told to Discord."""
    return sum(r.method == "PUT" and r.path.endswith("/commands") for r in env.http_requests)


def change(env: simcord.Env) -> None:
    """Let Discord know other commands than ours."""
    known = env.backend.commands[None].values()
    next(c for c in known if c["name"] == "help")["description"] = "Another"


async def test_commands_are_told_to_discord_only_when_they_changed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        assert syncs(w.env) == 1
        await w.stop()
        await w.restart()
        assert syncs(w.env) == 1
        change(w.env)
        await w.stop()
        await w.restart()
        assert syncs(w.env) == 2


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize(("status", "code"), [(400, 30034), (400, 50035), (403, 0), (503, 0)])
async def test_a_refused_sync_is_one_warning_and_the_bot_tells(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, method: str, status: int, code: int
) -> None:
    async with world(tmp_path) as w:
        await w.stop()
        change(w.env)
        w.env.inject_error(method, "/applications/*/commands", status=status, code=code)
        await w.restart()
        warnings = [r for r in caplog.records if r.name == "bot.command_sync"]
        assert [record.levelname for record in warnings] == ["WARNING"]
        assert page(await w.story(prompt="In the year")).startswith("**In the year**")
        # The next start tries again.
        await w.stop()
        await w.restart()
        assert next(c for c in w.env.backend.commands[None].values() if c["name"] == "help")[
            "description"
        ].startswith("What")


class Japanese(app_commands.Translator):
    """Says everything in Japanese, in one word."""

    word = "物語"

    async def translate(
        self,
        string: app_commands.locale_str,
        locale: discord.Locale,
        context: app_commands.TranslationContextTypes,
    ) -> str | None:
        del string
        described = context.location is app_commands.TranslationContextLocation.command_description
        return self.word if locale is discord.Locale.japanese and described else None


@contextlib.asynccontextmanager
async def translated(
    playground: Playground, trace: aiohttp.TraceConfig | None = None
) -> AsyncIterator[app_commands.CommandTree]:
    """One command in two languages, of a client that has logged in."""
    async with discord.Client(
        intents=discord.Intents(guilds=True), http_trace=trace or aiohttp.TraceConfig()
    ) as client:
        await client.login(playground.token)
        tree = app_commands.CommandTree(
            client,
            allowed_contexts=app_commands.AppCommandContext(guild=True),
            allowed_installs=app_commands.AppInstallationType(guild=True),
        )

        @tree.command(description=app_commands.locale_str("Hear a story"))
        async def story(interaction: discord.Interaction) -> None:
            del interaction

        await tree.set_translator(Japanese())
        yield tree


async def test_a_translation_causes_a_sync_when_it_changed_and_only_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Playground(port=0) as playground:
        monkeypatch.setattr(discord.http.Route, "BASE", playground.api_url)
        registered: list[None] = []
        playground.commands.listeners.append(lambda: registered.append(None))
        for word, times in (("物語", 1), ("物語", 1), ("昔話", 2)):
            monkeypatch.setattr(Japanese, "word", word)
            async with translated(playground) as tree:
                await sync(tree)
                (command,) = await tree.fetch_commands()
            assert command.description == "Hear a story"
            assert len(registered) == times


async def test_discord_is_asked_for_the_translations_that_it_leaves_out_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    async def keep(
        _session: aiohttp.ClientSession, _context: object, of: aiohttp.TraceRequestStartParams
    ) -> None:
        if of.method == "GET" and of.url.path.endswith("/commands"):
            asked.append(of.url.query.get("with_localizations"))

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(keep)
    async with Playground(port=0) as playground:
        monkeypatch.setattr(discord.http.Route, "BASE", playground.api_url)
        async with translated(playground, trace) as tree:
            await sync(tree)
    assert asked == ["true"]


async def test_a_connection_that_breaks_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", hang_up)
    async with Playground(port=0) as playground, TestServer(app, host="127.0.0.1") as broken:
        monkeypatch.setattr(discord.http.Route, "BASE", playground.api_url)
        async with translated(playground) as tree:
            monkeypatch.setattr(discord.http.Route, "BASE", str(broken.make_url("")).rstrip("/"))
            await sync(tree)
    warnings = [r for r in caplog.records if r.name == "bot.command_sync"]
    assert [record.levelname for record in warnings] == ["WARNING"]
