"""So many `/story` a second, whether the bot keeps up or not."""

from __future__ import annotations

import asyncio
import itertools
import time

from bot.bench.acts import Typed
from bot.bench.crowd import crowd
from bot.bench.figures import print_waits, show_progress

MEMBERS = 100
"""Who ask, in turns."""
TOLD_WITHIN = 300.0


async def flood(rate: float, seconds: float, waiting: int | None) -> dict[str, object]:
    """Ask, print a table, and give the figures.

    Args:
        rate: Wishes a second.
        seconds: For how long.
        waiting: How many may wait, whoever asked; None: what the bot's own settings let.

    Raises:
        BenchError: The bot did not start.
        TimeoutError: It told nothing.
    """
    limits = {} if waiting is None else limits_of(waiting)
    async with crowd(MEMBERS, **limits) as everybody:
        story, count = Typed("story", wish=True), round(rate * seconds)
        await story.do(everybody, everybody.members[0])
        async with asyncio.timeout(TOLD_WITHIN):
            await everybody.until_told(1)
        everybody.start_anew()
        begun = time.monotonic()
        members = itertools.cycle(everybody.members)
        async with asyncio.TaskGroup() as asked:
            for number in range(1, count + 1):
                await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
                asked.create_task(story.do(everybody, next(members)))
                if number % 50 == 0 or number == count:
                    show_progress(number, count, "asked for")
        figures = everybody.figures(time.monotonic() - begun)
        print(f"{rate:g} /story a second for {seconds:g} s")
        print_waits(everybody.waits)
        print(
            f"{everybody.accepted:,} accepted, {everybody.refused:,} refused with a sentence, "
            f"{everybody.unanswered:,} not answered in time"
        )
        return {"rate": rate, "seconds": seconds, **figures}


def limits_of(waiting: int) -> dict[str, str]:
    """Settings with which so many stories may wait, whoever asked for them."""
    return {
        "QUEUE__WAITING": str(waiting),
        "QUEUE__PER_SERVER": str(min(waiting, 100_000)),
        "QUEUE__PER_MEMBER": str(min(waiting, 1000)),
    }
