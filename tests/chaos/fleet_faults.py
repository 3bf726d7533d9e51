"""The faults of a fleet's: machines that are cut off, its database's server, a rolling restart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from tests.chaos.fleet import Fleet
    from tests.chaos.stage import Fault, Stage


def _fleet(stage: Stage) -> Fleet:
    assert stage.fleet is not None
    return stage.fleet


def _cut_off(kind: str) -> Fault:
    """Nothing reaches a machine, and nothing comes from it, though all on it goes on."""

    async def fault(stage: Stage, rng: random.Random, lasts: float) -> None:
        del lasts
        fleet = _fleet(stage)
        names = [name for name in fleet.hosts if name.startswith(kind)]
        with fleet.hosts[rng.choice(names)].cut_off():
            await asyncio.sleep(fleet.cut_off)

    return fault


async def _database_cut_off(stage: Stage, _: random.Random, __: float) -> None:
    fleet = _fleet(stage)
    async with fleet.server.alone:
        with fleet.server.home.cut_off():
            await asyncio.sleep(fleet.cut_off)


async def _database_stands_still(stage: Stage, _: random.Random, lasts: float) -> None:
    async with _fleet(stage).server.standing_still():
        await asyncio.sleep(lasts)


async def _database_moves(stage: Stage, _: random.Random, lasts: float) -> None:
    """Its machine dies; another one has its address and its disk a while later."""
    await _fleet(stage).server.move(lasts)


async def _database_full(stage: Stage, _: random.Random, lasts: float) -> None:
    async with _fleet(stage).server.full():
        await asyncio.sleep(lasts)


async def _rolling_restart(stage: Stage, _: random.Random, __: float) -> None:
    """One bot after the other makes room for a new one."""
    fleet = _fleet(stage)
    async with fleet.restarting:
        for bot in stage.bots:
            await bot.ready.wait()
            await bot.hand_over(fleet.server.come, fleet.hand_over_within)


EVERY: dict[str, Fault] = {
    "bot-cut-off": _cut_off("bot"),
    "generator-cut-off": _cut_off("generator"),
    "database-cut-off": _database_cut_off,
    "database-stands-still": _database_stands_still,
    "database-moves": _database_moves,
    "database-full": _database_full,
    "rolling-restart": _rolling_restart,
}
