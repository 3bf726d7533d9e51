"""Every fault by its name: what it does, from its beginning to its end."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from typing import TYPE_CHECKING

from tests.chaos import discord_faults, generator

if TYPE_CHECKING:
    from tests.chaos.processes import Watched
    from tests.chaos.schedule import Planned
    from tests.chaos.stage import Fault, Stage

LOCKED = 12.0
"""Seconds: longer than the bot waits for a lock."""
TRIES = 40


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
    **discord_faults.EVERY,
    **{f"generator-{kind}": _line(kind) for kind in generator.KINDS},
    "database-locked": _locked,
    "disk-full": _disk_full,
}
