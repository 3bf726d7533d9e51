"""Every fault by its name: what it does, from its beginning to its end."""

from __future__ import annotations

import asyncio
import random
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from typing import TYPE_CHECKING

from tests.chaos import database_faults, discord_faults, fleet_faults, generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.chaos.processes import Watched
    from tests.chaos.schedule import Planned
    from tests.chaos.stage import Fault, Stage

HOURS = 600, 20 * 3600
DAYS = 2 * 86_400, 10 * 86_400
"""Seconds of a step of the clock: so few that one who starts in it lets nobody's day pass, or so
many that one who runs through it would."""
CLOCKS = {"clock-forward": 1, "clock-back": -1}


async def happen(stage: Stage, planned: Planned) -> None:
    """See a fault through, noted in the history."""
    stage.history.add("fault", kind=planned.kind, on=True)
    try:
        await (EVERY | OF_A_FLEET)[planned.kind](stage, random.Random(planned.seed), planned.lasts)
    finally:
        stage.history.add("fault", kind=planned.kind, on=False)


# Processes


def _dies(*names: str, by: int = SIGKILL) -> Fault:
    async def fault(stage: Stage, rng: random.Random, lasts: float) -> None:
        processes = [_one(stage, rng, name) for name in names]
        # The generator is away for a while; the bot is started again at once.
        held = [process for process in processes if process in stage.generators]
        for process in held:
            process.hold(True)
        for process in processes:
            process.signal(SIGTERM if by == SIGTERM else SIGKILL)
        await asyncio.sleep(lasts if held else 0)
        for process in held:
            process.hold(False)
        for process in processes:
            await process.ready.wait()

    return fault


def _one(stage: Stage, rng: random.Random, name: str) -> Watched:
    """One of the bots, or of the generators."""
    processes: Sequence[Watched] = getattr(stage, f"{name}s")
    return rng.choice(processes)


def _stops(name: str) -> Fault:
    async def fault(stage: Stage, rng: random.Random, lasts: float) -> None:
        process = _one(stage, rng, name)
        process.signal(SIGSTOP)
        try:
            await asyncio.sleep(lasts)
        finally:
            process.signal(SIGCONT)

    return fault


# The generator's line


def _line(kind: str) -> Fault:
    async def fault(stage: Stage, rng: random.Random, lasts: float) -> None:
        line = rng.choice(stage.lines)
        line.trouble = kind
        try:
            await asyncio.sleep(lasts)
        finally:
            line.trouble = None

    return fault


# The clock


def _clock(direction: int) -> Fault:
    async def fault(stage: Stage, rng: random.Random, lasts: float) -> None:
        assert stage.machine is not None
        seconds = direction * rng.choice((rng.randint(*HOURS), rng.randint(*DAYS)))
        for step in (seconds, -seconds):
            stage.machine.step(step)
            stage.history.add("clock", ahead=stage.machine.ahead)
            if step == seconds:
                await asyncio.sleep(lasts)

    return fault


EVERY: dict[str, Fault] = {
    "bot-killed": _dies("bot"),
    "bot-told-to-stop": _dies("bot", by=SIGTERM),
    "bot-stands-still": _stops("bot"),
    "generator-killed": _dies("generator"),
    "generator-stands-still": _stops("generator"),
    "both-killed": _dies("bot", "generator"),
    **discord_faults.EVERY,
    **{f"generator-{kind}": _line(kind) for kind in generator.KINDS},
    **database_faults.EVERY,
    **{name: _clock(direction) for name, direction in CLOCKS.items()},
}
OF_A_FLEET: dict[str, Fault] = {
    **{name: EVERY[name] for name in ("bot-killed", "bot-told-to-stop", "bot-stands-still")},
    **{name: EVERY[name] for name in ("generator-killed", "generator-stands-still")},
    **{name: EVERY[name] for name in ("gateway-closed", "gateway-cut", "rest-502")},
    **{name: EVERY[name] for name in ("rest-reset-after", "generator-cut", "message-deleted")},
    **fleet_faults.EVERY,
}
"""Those of several bots, each on a machine of its own."""
OF_GENERATORS = {"generator-killed", "generator-stands-still", "generator-cut-off"}
"""Of these, those that need generators, where nobody stands in for them."""
NEED_MACHINE = {*database_faults.NEED_MACHINE, *CLOCKS}
"""Those for which the bot runs under a shim."""
