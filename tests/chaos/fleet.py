"""A run of several bots and generators on one PostgreSQL, each on a machine that can be cut off."""

from __future__ import annotations

import asyncio
import itertools
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.playground.server import TOKEN
from tests.bot.database.postgresql import programs
from tests.chaos.discord import Discord
from tests.chaos.generator import Line
from tests.chaos.history import History
from tests.chaos.members import Members
from tests.chaos.processes import Watched
from tests.chaos.run import SETTINGS, Outcome, act, task
from tests.chaos.server import Server
from tests.chaos.stage import Stage
from tests.chaos.village import Village
from tests.chaos.weather import Weather
from tests.network import SWITCH, network

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.chaos.run import Plan
    from tests.network import Host

BOTS = 2
HOSTS = {"database": 10, "database-later": 10}
HOSTS |= {
    f"{name}-{n}": at + n for name, at in (("bot", 20), ("generator", 30)) for n in range(BOTS)
}
"""Every machine beside that of Discord, by the end of its address."""
PORT = 8000
KEY = "nobodys-key"


@dataclass
class Fleet:
    """What several processes have beside their names."""

    hosts: Mapping[str, Host]
    """The machine of each, by its name."""
    server: Server
    cut_off: float
    """Seconds for which a machine is cut off."""
    hand_over_within: float
    """Seconds in which a bot makes room for a new one."""
    restarting: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Who has it restarts one bot after the other."""


def refusal() -> str:
    """Why there can be no such run, as a sentence; empty: there can."""
    return "" if programs() else "PostgreSQL is not installed."


async def run_fleet(plan: Plan, folder: Path) -> Outcome:
    """Carry it out, in a network of our own; everything it leaves is in the folder."""
    history = History(folder / "history.jsonl")
    rng = random.Random(plan.seed)
    where = programs()
    assert where is not None
    async with AsyncExitStack() as opened:
        opened.callback(history.close)
        hosts = opened.enter_context(network(HOSTS))
        server = Server(where, [hosts["database"], hosts["database-later"]])
        await opened.enter_async_context(server.open(folder / "postgresql.log"))
        village = Village(plan.servers, plan.members)
        discord = Discord(village, history, deadline=plan.deadline, lifetime=900)
        discord.gateway.shards = BOTS
        weather = Weather(random.Random(rng.random()))
        await opened.enter_async_context(discord.open(weather, SWITCH))
        generators = [] if plan.generator else [_generator(n, hosts, history) for n in range(BOTS)]
        numbers = itertools.count(1)
        lines: list[Line] = []
        bots: list[Watched] = []
        for number in range(BOTS):
            address = plan.generator or f"http://{hosts[f'generator-{number}'].address}:{PORT}"
            line = Line(random.Random(rng.random()), address, history, numbers=numbers)
            await opened.enter_async_context(line.open(SWITCH))
            lines.append(line)
            settings = SETTINGS | {
                "DATABASE__URL": server.url,
                "DISCORD__API_URL": discord.api_url,
                "DISCORD__GATEWAY_URL": discord.gateway_url,
                "DISCORD__SHARDS": f"{number}/{BOTS}",
                "GENERATOR__URL": line.url,
                "GENERATOR__API_KEY": KEY,
            }
            environment = {f"KATARIBE_{name}": value for name, value in settings.items()}
            bots.append(
                Watched(
                    f"bot-{number}",
                    ["-m", "bot"],
                    environment | {"DISCORD_TOKEN": TOKEN},
                    history,
                    folder=plan.code,
                    enter=hosts[f"bot-{number}"].enter,
                )
            )
        for process in (*generators, *bots):
            await opened.enter_async_context(task(process.run()))
        for process in (*generators, *bots):
            await process.ready.wait()
        fleet = Fleet(hosts, server, plan.cut_off, plan.hand_over_within)

        async def left() -> int:
            return await server.left(set(village.guild_ids))

        stage = Stage(discord, weather, lines, bots, generators, history, left, fleet=fleet)
        members = Members(discord, rng, plan.rate)
        happened = await act(plan, stage, members)
        kept = await server.kept()
    endings = [status for bot in bots for status in bot.endings]
    return Outcome(history.path, kept, members.done, happened, stage.met, endings, [])


def _generator(number: int, hosts: Mapping[str, Host], history: History) -> Watched:
    host = hosts[f"generator-{number}"]
    where = ("--host", host.address, "--port", str(PORT), "--slots", "8")
    return Watched(
        f"generator-{number}",
        ["-m", "generator", "serve", *where],
        {"KATARIBE_ENGINE__API_KEYS": KEY},
        history,
        enter=host.enter,
    )
