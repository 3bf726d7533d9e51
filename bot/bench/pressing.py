"""Many members who type and press everything there is while stories are told."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
import time
from typing import TYPE_CHECKING

from bot.bench.acts import ACTS, Typed
from bot.bench.crowd import crowd
from bot.bench.figures import print_waits, show_progress

if TYPE_CHECKING:
    from bot.bench.crowd import Crowd
    from bot.playground.world import Member

PAUSE = 2.0
"""Seconds between two things that a member does, on average."""
TOLD_FIRST = 4
"""Stories that are told before anything is measured, so that there is something to press."""
TOLD_WITHIN = 300.0


async def press(members: int, seconds: float, pause: float = PAUSE) -> dict[str, object]:
    """Let them, print a table, and give the figures.

    Raises:
        BenchError: The bot did not start.
        TimeoutError: It told nothing.
    """
    async with crowd(members) as everybody:
        await _tell_first(everybody)
        everybody.start_anew()
        begun = time.monotonic()
        until = begun + seconds
        async with asyncio.TaskGroup() as ways:
            for member in everybody.members:
                ways.create_task(_live(everybody, member, pause, until))
            while (left := until - time.monotonic()) > 0:
                show_progress(seconds - left, seconds, "seconds")
                await asyncio.sleep(min(left, 0.5))
            show_progress(seconds, seconds, "seconds")
        figures = everybody.figures(time.monotonic() - begun)
        print(f"{members} members, each one thing in {pause:g} s, for {seconds:g} s")
        print_waits(everybody.waits)
        return {"members": members, "seconds": seconds, **figures}


async def _tell_first(everybody: Crowd) -> None:
    """Have the first stories told to their end."""
    print("The bot has started; the first stories are told", file=sys.stderr)
    story = Typed("story", wish=True)
    for member in itertools.islice(itertools.cycle(everybody.members), TOLD_FIRST):
        await story.do(everybody, member)
    async with asyncio.timeout(TOLD_WITHIN):
        await everybody.until_told(min(TOLD_FIRST, everybody.accepted))


async def _live(everybody: Crowd, member: Member, pause: float, until: float) -> None:
    """What one member does until the end, one thing after the other."""
    acts, weights = list(ACTS), list(ACTS.values())
    await asyncio.sleep(random.uniform(0, pause))
    while time.monotonic() < until:
        act = random.choices(acts, weights)[0]
        if await act.do(everybody, member):
            await asyncio.sleep(random.expovariate(1 / pause))
