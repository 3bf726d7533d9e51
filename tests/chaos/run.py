"""One run: a village, the bot and the generator, faults among it, and quiet at the end."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.playground.server import TOKEN
from tests.chaos.database_faults import seen_meanwhile
from tests.chaos.discord import Discord
from tests.chaos.faults import NEED_MACHINE, happen
from tests.chaos.generator import Line
from tests.chaos.history import History
from tests.chaos.machine import built
from tests.chaos.members import Members
from tests.chaos.processes import Watched
from tests.chaos.promises import HANDLES
from tests.chaos.schedule import plan
from tests.chaos.seen import Kept
from tests.chaos.stage import Stage
from tests.chaos.village import Village
from tests.chaos.weather import Weather

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence
    from pathlib import Path
    from typing import Any

LOOK_AGAIN = 0.5
"""Seconds between two looks at what another process does."""
REST = 2.0
"""Seconds in which the bot lets go of what it held, once nothing is left to do."""
KEPT_OPEN = 60.0
"""Seconds until connections that a rush needed are closed. Each is kept for 15 after its last
request, and the next request takes the one that lay longest: a few a second keep many."""
SETTINGS = {
    "STORIES__MIN_TOKENS": "20",
    "STORIES__MAX_TOKENS": "50",
    "STORIES__VARIATION_TOKENS": "30",
    "STORIES__SAGA_PARTS": "3",
    "QUEUE__LEASE": "10",
    "GENERATOR__REQUEST_TIMEOUT": "8",
    "DUELS__LASTS": "60",
    "LOG__LEVEL": "info",
}


@dataclass(frozen=True)
class Plan:
    """How large a run is."""

    seed: int
    seconds: float
    """In which members ask and faults happen."""
    kinds: Sequence[str]
    servers: int = 20
    members: int = 200
    rate: float = 6.5
    """Things that members do in a second."""
    every: float = 3.0
    """Seconds from one fault to the next, about."""
    deadline: float = 3.0
    """Seconds in which an interaction is acknowledged."""
    warm_up: float = 10.0
    """Seconds without a fault, after which it is measured what the bot holds."""
    drained_within: float = 150.0
    """Seconds after the last fault in which nothing may be left to tell."""
    generator: str = ""
    """The address of one that runs already; empty: one of the run's own, as a process."""
    code: Path | None = None
    """The folder in which the bot's code lies; None: this checkout."""
    cut_off: float = 40.0
    """Seconds for which a machine of a fleet is cut off."""
    hand_over_within: float = 5.0
    """Seconds in which a bot of a fleet makes room for a new one, where all else is well."""


@dataclass(frozen=True)
class Outcome:
    """What the run leaves to the checker, and some counts."""

    history: Path
    kept: Kept
    done: dict[str, int]
    faults: int
    met: int
    """Requests that met a trouble."""
    endings: list[int]
    """Statuses with which the bot ended by itself."""
    left_out: list[str]
    """Kinds of faults that cannot be made here."""


async def run(plan_: Plan, folder: Path) -> Outcome:
    """Carry it out; everything it leaves is in the folder."""
    history = History(folder / "history.jsonl")
    rng = random.Random(plan_.seed)
    disk = folder / "disk"
    disk.mkdir(exist_ok=True)
    database = disk / "kataribe.db"
    machine = built(folder, disk) if NEED_MACHINE & set(plan_.kinds) else None
    left_out = [] if machine else [kind for kind in plan_.kinds if kind in NEED_MACHINE]
    plan_ = replace(plan_, kinds=[kind for kind in plan_.kinds if kind not in left_out])
    async with AsyncExitStack() as opened:
        opened.callback(history.close)
        discord = Discord(
            Village(plan_.servers, plan_.members), history, deadline=plan_.deadline, lifetime=900
        )
        weather = Weather(random.Random(rng.random()))
        await opened.enter_async_context(discord.open(weather))
        storyteller = Watched(
            "generator", ["-m", "generator", "serve", "--port", "0", "--slots", "8"], {}, history
        )
        line = Line(
            random.Random(rng.random()),
            lambda: plan_.generator or (storyteller.ready.is_set() and storyteller.address) or "",
            history,
        )
        await opened.enter_async_context(line.open())
        settings = SETTINGS | {
            "DATABASE__URL": f"sqlite+aiosqlite:///{database}",
            "DISCORD__API_URL": discord.api_url,
            "DISCORD__GATEWAY_URL": discord.gateway_url,
            "GENERATOR__URL": line.url,
        }
        environment = {f"KATARIBE_{name}": value for name, value in settings.items()}
        environment["DISCORD_TOKEN"] = TOKEN
        environment |= machine.environment if machine else {}
        bot = Watched("bot", ["-m", "bot"], environment, history, folder=plan_.code)
        for process in (bot,) if plan_.generator else (storyteller, bot):
            await opened.enter_async_context(task(process.run()))
        for process in (bot,) if plan_.generator else (storyteller, bot):
            await process.ready.wait()

        async def left() -> int:
            return _left(database, set(discord.village.guild_ids))

        stage = Stage(
            discord, weather, [line], [bot], [storyteller], history, left, database, machine
        )
        members = Members(discord, rng, plan_.rate)
        happened = await act(plan_, stage, members)
    kept = Kept.of(database, seen_meanwhile(database))
    return Outcome(history.path, kept, members.done, happened, stage.met, bot.endings, left_out)


async def act(plan_: Plan, stage: Stage, members: Members) -> int:
    """Let everything happen that is planned, and all come to its end; gives how many faults did."""
    happened = await _busy(plan_, stage, members)
    await _quiet(plan_, stage, members)
    stage.discord.interactions.close()
    await members.answered()
    return happened


async def _busy(plan_: Plan, stage: Stage, members: Members) -> int:
    """Let members ask and faults happen; gives how many did."""
    planned = plan(plan_.seed, plan_.kinds, plan_.seconds - plan_.warm_up, plan_.every)
    async with task(members.run()):
        await asyncio.sleep(plan_.warm_up)
        for bot in stage.bots:
            bot.measure("before")
        began = stage.history.now
        async with asyncio.TaskGroup() as faults:
            for one in planned:
                await asyncio.sleep(max(0.0, began + one.at - stage.history.now))
                faults.create_task(happen(stage, one))
            await asyncio.sleep(max(0.0, began + plan_.seconds - stage.history.now))
    return len(planned)


async def _quiet(plan_: Plan, stage: Stage, members: Members) -> None:
    """Wait until nothing is left to tell, then ask once more in every server."""
    stage.history.add("quiet")
    with suppress(TimeoutError):
        async with asyncio.timeout(plan_.drained_within):
            await _drained(stage)
            village = stage.discord.village
            homes = {village.home[one.user.id]: one for one in village.villagers}
            await members.probe(homes.values())
            await _drained(stage)
            stage.history.add("drained")
    await asyncio.sleep(REST)
    with suppress(TimeoutError):
        async with asyncio.timeout(KEPT_OPEN):
            # There is nothing to be woken by.
            while any(bot.handles > HANDLES for bot in stage.bots):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_AGAIN)
    for bot in stage.bots:
        bot.measure("after")
    stage.history.add("end")


async def _drained(stage: Stage) -> None:
    """Wait for the bots: there is nothing to be woken by, so look again and again."""
    for bot in stage.bots:
        await bot.ready.wait()
    while await stage.left() or not stage.discord.gateway.online:  # noqa: ASYNC110  # see above
        await asyncio.sleep(LOOK_AGAIN)


def _left(database: Path, there: set[int]) -> int:
    """Stories whose last word does not stand in the channel; where there is none, that wait."""
    query = "SELECT guild_id, state IN ('queued', 'telling') FROM stories WHERE shown_at IS NULL"
    with closing(sqlite3.connect(database, timeout=10)) as connection:
        return sum(waits or guild_id in there for guild_id, waits in connection.execute(query))


@asynccontextmanager
async def task(work: Coroutine[Any, Any, object]) -> AsyncIterator[asyncio.Task[object]]:
    """Run beside the rest; on leaving it is cancelled and has ended."""
    running = asyncio.create_task(work)
    try:
        yield running
    finally:
        running.cancel()
        await asyncio.wait([running])
