"""The whole bot for tests, real but for Discord, which is SimCord's virtual one."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import functools
import inspect
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import discord
import simcord
from sqlalchemy import event, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

from bot import commands, components
from bot.client import Kataribe
from bot.commands.story import SURPRISE
from bot.config import Settings
from bot.database.tables import Story
from bot.messages.pacing import Pace
from bot.playground.layouts import parts_of
from bot.services import Services
from bot.worker.completions import Completions
from bot.worker.dispatcher import Dispatcher
from tests.bot.migrated import migrated_database, share_statements
from tests.bot.teller import Teller, teller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from pathlib import Path

    from bot.database import Database
    from bot.messages.pacing import Clock
    from bot.messages.presenter import StoryMessages

PATIENCE = 20.0
"""Seconds after which a condition that never comes true fails its test."""


class RealClock:
    """The loop's own time: SimCord gives the bot's callbacks another, in which nothing passes."""

    def time(self) -> float:
        return contextvars.Context().run(asyncio.get_running_loop().time)

    def call_later(self, delay: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        # The callback itself keeps its context: SimCord's webhooks are found in it.
        later = functools.partial(
            asyncio.get_running_loop().call_later, context=contextvars.copy_context()
        )
        return contextvars.Context().run(later, delay, callback)


@dataclass
class World:
    """One server with three members and one channel, the bot, and a generator."""

    env: simcord.Env
    client: Kataribe
    build: Callable[[], Kataribe]
    """Makes a client that remembers nothing."""
    completions: Completions
    teller: Teller
    channel: simcord.ChannelHandle
    aki: simcord.MemberActor
    ben: simcord.MemberActor
    mod: simcord.MemberActor
    sessions: async_sessionmaker[AsyncSession]
    """The test's own way into the bot's database."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    locales: dict[int, str] = field(default_factory=dict)
    """A member's language as their Discord says it, or a server's, by its id; else `en-US`."""

    @property
    def messages(self) -> StoryMessages:
        """Those of the present client."""
        return self.client.services.messages

    @property
    def services(self) -> Services:
        """Those of the present client."""
        return self.client.services

    def start(self) -> None:
        """Let the stories of the queue be told."""
        of = self.services
        self.dispatcher = Dispatcher(
            of.queue,
            of.stories,
            self.completions,
            of.catalogue,
            of.messages,
            of.bell,
            of.settings,
            of.screening,
            of.metrics,
        )
        self._running = asyncio.create_task(self.dispatcher.run())
        self._closing = asyncio.create_task(of.closing.run())

    async def stop(self) -> None:
        """Tell no more, as on SIGTERM."""
        for task in (self._running, self._closing):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self.messages.close()

    async def restart(self) -> None:
        """Start again after `stop`, with a client that remembers nothing."""
        self.client = self.build()
        await self.env.restart_bot(self.client)
        self.start()

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds, looked at after each event of Discord and each commit."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self.changed.clear()
                result = holds()
                if await result if inspect.isawaitable(result) else result:
                    return
                await self.changed.wait()

    async def idle(self) -> None:
        """Wait until the last word about every story stands in its channel."""

        async def shown() -> bool:
            async with self.sessions() as session:
                return not await session.scalar(
                    select(func.count()).where(Story.shown_at.is_(None))
                )

        await self.until(shown)

    def message(self, message_id: int | None = None) -> discord.Message:
        """A message as it stands in the channel; the newest without an id."""
        history = self.channel.history()
        if message_id is None:
            return history[-1]
        return next(message for message in history if message.id == message_id)

    async def told(self, message_id: int | None = None) -> discord.Message:
        """Wait until a message shows its whole story."""
        await self.until(
            lambda: self.channel.history() and "Again" in labels(self.message(message_id))
        )
        return self.message(message_id)

    async def ready(self, result: simcord.InteractionResult) -> discord.Message:
        """Wait until the message that answered a command or a press shows its whole story."""
        answer = reply(result)
        await self.until(lambda: "Again" in labels(answer.message))
        return answer.message

    async def story(self, by: simcord.MemberActor | None = None, **options: Any) -> discord.Message:
        """Ask for a story and wait until it is told; without a prompt, surprised by the house."""
        options.setdefault("prompt", SURPRISE)
        result = await (by or self.aki).slash(self.channel, "story", **options)
        return await self.told(reply(result).id)

    def refused(self, result: simcord.InteractionResult, kind: type[Exception]) -> str:
        """The one sentence that only the member sees; the error behind it is the one expected."""
        errors = [getattr(e, "original", e) for e in self.env.errors]
        assert [type(error) for error in errors][-1:] == [kind]
        return whisper(result)


def reply(result: simcord.InteractionResult) -> simcord.ResponseMessage:
    """The message that answered a command or a press."""
    assert result.response is not None
    return result.response


async def thread_in(w: World) -> simcord.ChannelHandle:
    """A thread in the channel, opened by the bot."""
    channel = w.client.get_channel(w.channel.id)
    assert isinstance(channel, discord.TextChannel)
    thread = await channel.create_thread(name="aside", type=discord.ChannelType.public_thread)
    return next(handle for handle in w.channel.threads if handle.id == thread.id)


def whisper(result: simcord.InteractionResult) -> str:
    """What only the member was told."""
    (said,) = result.followups or [reply(result)]
    assert said.ephemeral
    return said.content


def page(message: discord.Message | simcord.ResponseMessage) -> str:
    """What a story's message says."""
    return message.embeds[0].description or ""


def footer(message: discord.Message | simcord.ResponseMessage) -> str:
    """The line under it."""
    return message.embeds[0].footer.text or ""


def labels(message: discord.Message) -> list[str | None]:
    """Its buttons, in order."""
    return [part.label for part in parts(message) if isinstance(part, discord.Button)]


def texts(message: discord.Message) -> list[str]:
    """The texts of a message that is a layout of its own, in order."""
    return [part.content for part in parts(message) if isinstance(part, discord.TextDisplay)]


def parts(message: discord.Message) -> list[discord.Component]:
    """Everything in a message that is a component, those within others too."""
    found: list[discord.Component] = []
    for component in message.components:
        found += _parts(component)
    return found


def _parts(component: discord.Component) -> list[discord.Component]:
    within: list[discord.Component] = getattr(component, "children", [])
    return [component, *(part for child in within for part in _parts(child))]


def _bot(settings: Settings, completions: Completions, database: Database, pace: Pace) -> Kataribe:
    """The client with its services, as `python -m bot` builds them."""
    client = Kataribe(settings.discord, pace)
    client.services = Services.of(settings, database, completions, client, pace)
    for command in commands.EVERY:
        client.tree.add_command(command)
    client.add_dynamic_items(*components.EVERY)
    return client


@contextmanager
def made_up(w: World, **options: Any) -> Iterator[None]:
    """Let commands come with values that Discord would not have offered, as a client may."""
    emit = w.env.backend.emit

    def emitted(event: str, payload: Mapping[str, Any]) -> None:
        payload = copy.deepcopy(dict(payload))
        for option in _options(payload.get("data", {})):
            option["value"] = options.get(option["name"], option.get("value"))
        emit(event, payload)

    w.env.backend.emit = emitted  # type: ignore[method-assign]
    try:
        yield
    finally:
        w.env.backend.emit = emit  # type: ignore[method-assign]


def _options(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The values of a command, or of one in a group."""
    options: list[dict[str, Any]] = data.get("options", [])
    within = [one for option in options for one in _options(option)]
    return within or [option for option in options if "value" in option]


def _with_locales(env: simcord.Env, locales: dict[int, str]) -> None:
    """Let interactions say their member's and their server's language; SimCord knows one only."""
    emit = env.backend.emit

    def emitted(event: str, payload: Mapping[str, Any]) -> None:
        if event == "INTERACTION_CREATE":
            user = (payload.get("member") or payload)["user"]
            payload = {**payload, "locale": locales.get(int(user["id"]), "en-US")}
            if "guild_id" in payload:
                payload["guild_locale"] = locales.get(int(payload["guild_id"]), "en-US")
        emit(event, payload)

    env.backend.emit = emitted  # type: ignore[method-assign]


def _check_custom_ids(env: simcord.Env) -> None:
    """Discord refuses a message in which two components have one custom id; SimCord does not."""
    for request in env.http_requests:
        said = request.json if isinstance(request.json, dict) else {}
        said = said.get("data") or said
        ids = [
            part["custom_id"]
            for part in parts_of(said.get("components") or ())
            if "custom_id" in part
        ]
        assert len(set(ids)) == len(ids), (request.path, ids)


@asynccontextmanager
async def world(
    folder: Path, *, clock: Clock | None = None, pace: Pace | None = None, **settings: Any
) -> AsyncIterator[World]:
    """Everything, running; settings by section, for example `queue={"per_member": 1}`.

    Edits are paced by the clock, or else hardly at all.
    """
    stories = {"edit_interval": 0.0, "words_per_second": 0.0, **settings.pop("stories", {})}
    loaded = Settings(stories=stories, **settings)
    pace = pace or Pace(limit=10_000, per_second=10_000, clock=clock or RealClock())
    async with (
        teller() as told,
        migrated_database(f"sqlite+aiosqlite:///{folder / 'kataribe.db'}") as database,
        Completions(
            told.url,
            loaded.stories,
            request_timeout=60,
            moods=loaded.moods,
            remote=loaded.models,
        ) as completions,
    ):
        here: World

        def build() -> Kataribe:
            return _bot(loaded, completions, database, pace)

        client = build()
        # SimCord waits for each timer that ends within its timeout; a held teller must not be one.
        async with simcord.run(client, shard_count=1, settle_timeout=9) as env:
            guild = env.create_guild("Village")
            moderators = guild.create_role(
                "Moderators", permissions=discord.Permissions(manage_guild=True)
            )
            own = create_async_engine(database.engine.url, poolclass=NullPool)
            share_statements(own)
            here = World(
                env=env,
                client=client,
                build=build,
                completions=completions,
                teller=told,
                channel=guild.create_text_channel("fireside"),
                aki=guild.add_member(env.create_user("aki")),
                ben=guild.add_member(env.create_user("ben")),
                mod=guild.add_member(env.create_user("mod"), roles=[moderators]),
                sessions=async_sessionmaker(own, expire_on_commit=False),
            )
            env.backend.subscribers.append(lambda *_: here.changed.set())
            _with_locales(env, here.locales)
            # A connection comes back to the pool once its transaction is over.
            event.listen(database.engine.sync_engine, "checkin", lambda *_: here.changed.set())
            here.start()
            try:
                yield here
            finally:
                await here.stop()
            _check_custom_ids(env)
