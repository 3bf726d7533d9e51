"""The whole bot for tests: its real database, queue, dispatcher and client, in a virtual Discord."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import discord
import simcord

from bot.client import Kataribe
from bot.completions import Completions
from bot.config import Settings
from bot.database.connection import open_database
from bot.database.guilds import Guilds
from bot.database.ratings import Ratings
from bot.database.stories import Stories
from bot.dispatcher import Dispatcher
from bot.pacing import EditLimits
from bot.queue import Queue
from bot.services import Services
from tests.bot.teller import Teller, teller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

T = TypeVar("T")
PATIENCE = 20.0
"""Seconds after which a condition that never comes true fails its test."""


@dataclass
class World:
    """One server with three members and one channel, the bot, and a generator."""

    env: simcord.Env
    services: Services
    settings: Settings
    teller: Teller
    channel: simcord.ChannelHandle
    aki: simcord.MemberActor
    ben: simcord.MemberActor
    mod: simcord.MemberActor
    dispatcher: Dispatcher
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def new_client(self) -> Kataribe:
        """A client as after a restart: it remembers nothing."""
        return Kataribe(self.settings, self.services, limits=EditLimits(limit=10_000))

    async def until(self, found: Callable[[], T]) -> T:
        """Wait until something holds; looked at again after each event of the virtual Discord."""
        async with asyncio.timeout(PATIENCE):
            while not (result := found()):
                self.changed.clear()
                await self.changed.wait()
            return result

    def message(self, message_id: int | None = None) -> discord.Message:
        """A message as it stands in the channel; the newest without an id."""
        history = self.channel.history()
        if message_id is None:
            return history[-1]
        return next(message for message in history if message.id == message_id)

    async def told(self, message_id: int | None = None) -> discord.Message:
        """Wait until a message shows its whole story."""
        await self.until(lambda: "Again" in labels(self.message(message_id)))
        return self.message(message_id)

    async def story(self, by: simcord.MemberActor | None = None, **options: Any) -> discord.Message:
        """Ask for a story and wait until it is told."""
        result = await (by or self.aki).slash(self.channel, "story", **options)
        assert result.response is not None
        return await self.told(result.response.id)

    def refused(self, result: simcord.InteractionResult, kind: type[Exception]) -> str:
        """The one sentence that only the member sees; the error behind it is the one expected."""
        errors = [getattr(e, "original", e) for e in self.env.errors]
        assert [type(error) for error in errors if isinstance(error, kind)][-1:] == [kind]
        assert result.ephemeral
        assert result.response is not None
        return result.response.content


def page(message: discord.Message | simcord.ResponseMessage) -> str:
    """What a story's message says."""
    return message.embeds[0].description or ""


def footer(message: discord.Message | simcord.ResponseMessage) -> str:
    """The line under it."""
    return message.embeds[0].footer.text or ""


def labels(message: discord.Message) -> list[str | None]:
    """Its buttons."""
    return [
        button.label
        for row in message.components
        if isinstance(row, discord.ActionRow)
        for button in row.children
        if isinstance(button, discord.Button)
    ]


@asynccontextmanager
async def world(folder: Path, **settings: Any) -> AsyncIterator[World]:
    """Everything, running; settings by section, for example `queue={"per_member": 1}`."""
    settings.setdefault("stories", {}).setdefault("edit_interval", 0.0)
    loaded = Settings(**settings)
    async with (
        teller() as told,
        open_database(f"sqlite+aiosqlite:///{folder / 'kataribe.db'}") as database,
        Completions(told.url, loaded.stories, request_timeout=10) as completions,
    ):
        dispatchers: list[Dispatcher] = []
        services = Services(
            queue=Queue(database.sessions, loaded.queue),
            stories=Stories(database.sessions),
            ratings=Ratings(database.sessions),
            guilds=Guilds(database.sessions),
            completions=completions,
            wake=lambda: dispatchers[0].wake(),
        )
        client = Kataribe(loaded, services, limits=EditLimits(limit=10_000))
        dispatcher = Dispatcher(services.queue, services.stories, completions, client.stage, loaded)
        dispatchers.append(dispatcher)
        async with simcord.run(client, shard_count=1) as env:
            guild = env.create_guild("Village")
            moderators = guild.create_role(
                "Moderators", permissions=discord.Permissions(manage_guild=True)
            )
            here = World(
                env=env,
                services=services,
                settings=loaded,
                teller=told,
                channel=guild.create_text_channel("fireside"),
                aki=guild.add_member(env.create_user("aki")),
                ben=guild.add_member(env.create_user("ben")),
                mod=guild.add_member(env.create_user("mod"), roles=[moderators]),
                dispatcher=dispatcher,
            )
            env.backend.subscribers.append(lambda *_: here.changed.set())
            running = asyncio.create_task(dispatcher.run())
            try:
                yield here
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running
                await env.bot.stage.close()
