"""Every fault by its name: what it does, from its beginning to its end."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from typing import TYPE_CHECKING

from tests.chaos import generator, weather
from tests.chaos.weather import Trouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiohttp import web

    from tests.chaos.discord import Discord
    from tests.chaos.generator import Line
    from tests.chaos.history import History
    from tests.chaos.processes import Watched
    from tests.chaos.schedule import Planned
    from tests.chaos.weather import Weather

LOCKED = 12.0
"""Seconds: longer than the bot waits for a lock."""
TRIES = 40
MOSTLY = 0.7
RESUMABLE = (4000, 4001, 4002, 4005, 4008)
NOT_RESUMABLE = (1000, 4003, 4007, 4009)
"""Discord's codes of closing; those that say that the bot itself is wrong are not among them."""


@dataclass
class Stage:
    """Everything that faults happen to."""

    discord: Discord
    weather: Weather
    line: Line
    bot: Watched
    generator: Watched
    database: Path
    history: History


if TYPE_CHECKING:
    Fault = Callable[[Stage, random.Random, float], Awaitable[None]]


async def happen(stage: Stage, planned: Planned) -> None:
    """See a fault through, noted in the history."""
    stage.history.add("fault", kind=planned.kind, on=True)
    try:
        await EVERY[planned.kind](stage, random.Random(planned.seed), planned.lasts)
    finally:
        stage.history.add("fault", kind=planned.kind, on=False)


# Processes


def _dies(*names: str, by: int = SIGKILL) -> Fault:
    async def fault(stage: Stage, rng: random.Random, lasts: float) -> None:
        del rng
        processes: list[Watched] = [getattr(stage, name) for name in names]
        for process in processes:
            # The generator is away for a while; the bot is started again at once.
            process.hold(process is stage.generator)
            process.signal(SIGTERM if by == SIGTERM else SIGKILL)
        await asyncio.sleep(lasts if "generator" in names else 0)
        for process in processes:
            process.hold(False)
        for process in processes:
            await process.ready.wait()

    return fault


def _stops(name: str) -> Fault:
    async def fault(stage: Stage, rng: random.Random, lasts: float) -> None:
        del rng
        process: Watched = getattr(stage, name)
        process.signal(SIGSTOP)
        try:
            await asyncio.sleep(lasts)
        finally:
            process.signal(SIGCONT)

    return fault


# The gateway


async def _closed(stage: Stage, rng: random.Random, _: float) -> None:
    await stage.discord.gateway.hang_up(rng.choice(RESUMABLE))


async def _closed_for_good(stage: Stage, rng: random.Random, _: float) -> None:
    stage.discord.gateway.forget()
    await stage.discord.gateway.hang_up(rng.choice(NOT_RESUMABLE))


async def _cut(stage: Stage, _: random.Random, __: float) -> None:
    stage.discord.gateway.cut()


async def _reconnect(stage: Stage, _: random.Random, __: float) -> None:
    stage.discord.gateway.ask_to_reconnect()


async def _invalid(stage: Stage, rng: random.Random, _: float) -> None:
    resumable = rng.random() < 0.5
    if not resumable:
        stage.discord.gateway.forget()
    stage.discord.gateway.invalidate(resumable=resumable)


def _switched(name: str) -> Fault:
    async def fault(stage: Stage, rng: random.Random, lasts: float) -> None:
        gateway = stage.discord.gateway
        if name == "silent":
            gateway.fall_silent()
        else:
            setattr(gateway, name, True)
        if name in {"forgetful", "closed"}:
            await gateway.hang_up(rng.choice(RESUMABLE))
        try:
            await asyncio.sleep(lasts)
        finally:
            setattr(gateway, name, False)
            if name == "silent" and rng.random() < MOSTLY:
                gateway.cut()  # the line says that it is dead; else the bot must find out

    return fault


# REST


def _weather(kind: str, share: float = 0.5) -> Fault:
    async def fault(stage: Stage, rng: random.Random, lasts: float) -> None:
        del rng
        async with _with(stage, Trouble(kind, share, _wanted(kind))):
            await asyncio.sleep(lasts)

    return fault


def _wanted(kind: str) -> Callable[[web.Request], bool]:
    """Where a refusal is one that Discord gives: that of a token to tokens, and so on."""

    def where(request: web.Request) -> bool:
        by_token = "/webhooks/" in request.path
        if kind == "401":
            return by_token
        # A connection is never refused: what is wrong with a start is another matter.
        return by_token or "/channels/" in request.path or "/interactions/" in request.path

    return where


@asynccontextmanager
async def _with(stage: Stage, trouble: Trouble) -> AsyncIterator[None]:
    stage.weather.troubles.append(trouble)
    try:
        yield
    finally:
        stage.weather.troubles.remove(trouble)


def _in_one_channel(kind: str) -> Fault:
    """What the bot may not do as itself in a channel, for a while."""

    async def fault(stage: Stage, rng: random.Random, lasts: float) -> None:
        channel = rng.choice(list(stage.discord.village.channels))
        path = f"/channels/{channel}/"
        async with _with(stage, Trouble(kind, 1.0, lambda request: path in request.path)):
            await asyncio.sleep(lasts)

    return fault


async def _tokens_expire(stage: Stage, _: random.Random, __: float) -> None:
    stage.discord.interactions._by_token.clear()


# What members and moderators take away


async def _message_deleted(stage: Stage, rng: random.Random, _: float) -> None:
    messages = stage.discord.messages
    channel = rng.choice(list(stage.discord.village.channels))
    if shown := list(messages.history(channel))[-3:]:
        message = rng.choice(shown)
        stage.history.add("destroyed", message=message.id)
        messages.delete(message)


async def _channel_deleted(stage: Stage, rng: random.Random, _: float) -> None:
    village = stage.discord.village
    id_ = rng.choice(list(village.channels))
    of = village.channels[id_]
    if len([one for one in village.channels.values() if one.guild_id == of.guild_id]) == 1:
        return  # a server keeps one
    stage.history.add("destroyed", channel=id_)
    del village.channels[id_]
    stage.discord.gateway.dispatch("CHANNEL_DELETE", of.payload())


# The generator's line


def _line(kind: str) -> Fault:
    async def fault(stage: Stage, rng: random.Random, lasts: float) -> None:
        del rng
        stage.line.trouble = kind
        try:
            await asyncio.sleep(lasts)
        finally:
            stage.line.trouble = None

    return fault


# The database


async def _locked(stage: Stage, _: random.Random, __: float) -> None:
    # Without waiting for the lock: everything else of the run happens in this loop.
    with closing(sqlite3.connect(stage.database, isolation_level=None, timeout=0)) as connection:
        for _attempt in range(TRIES):
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                await asyncio.sleep(0.05)  # the bot has it, or another fault
            else:
                await asyncio.sleep(LOCKED)
                connection.execute("ROLLBACK")
                return


async def _disk_full(stage: Stage, _: random.Random, lasts: float) -> None:
    stage.bot.full_disk(True)
    try:
        await asyncio.sleep(lasts)
    finally:
        stage.bot.full_disk(False)


EVERY: dict[str, Fault] = {
    "bot-killed": _dies("bot"),
    "bot-told-to-stop": _dies("bot", by=SIGTERM),
    "bot-stands-still": _stops("bot"),
    "generator-killed": _dies("generator"),
    "generator-stands-still": _stops("generator"),
    "both-killed": _dies("bot", "generator"),
    "gateway-closed": _closed,
    "gateway-closed-for-good": _closed_for_good,
    "gateway-cut": _cut,
    "gateway-reconnect": _reconnect,
    "gateway-invalid-session": _invalid,
    "gateway-silent": _switched("silent"),
    "gateway-resume-refused": _switched("forgetful"),
    "gateway-sessions-refused": _switched("closed"),
    "gateway-repeats": _switched("repeating"),
    **{f"rest-{kind}": _weather(kind) for kind in weather.REFUSALS if "400" not in kind},
    **{
        f"rest-{kind}": _weather(kind, 0.3)
        for kind in ("reset-before", "reset-after", "stall", "500-slow")
    },
    "permissions-withdrawn": _in_one_channel("403-permissions"),
    "thread-archived": _in_one_channel("400-archived"),
    "tokens-expire": _tokens_expire,
    "message-deleted": _message_deleted,
    "channel-deleted": _channel_deleted,
    **{f"generator-{kind}": _line(kind) for kind in generator.KINDS},
    "database-locked": _locked,
    "disk-full": _disk_full,
}
