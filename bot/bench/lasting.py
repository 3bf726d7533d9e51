"""Whether the bot stays as small as it was, however many stories it tells."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from typing import TYPE_CHECKING

from bot.bench.acts import Typed
from bot.bench.crowd import crowd
from bot.bench.figures import show_progress
from bot.bench.flood import limits_of
from bot.database.limits import ANSWERED_AT_ONCE

if TYPE_CHECKING:
    from bot.bench.crowd import Crowd

MEMBERS = ANSWERED_AT_ONCE
"""Who ask at the same time, each again once a story more is told; more would be refused."""
SHORT = {"STORIES__MIN_TOKENS": "8", "STORIES__MAX_TOKENS": "24"}
"""Stories of a line or two: what is measured is how many there are."""
PARTS = 10
"""Its memory is read so often, at equal numbers of stories."""
STALLED_AFTER = 300.0
"""Seconds in which a part has to be told."""


async def last(stories: int) -> dict[str, object]:
    """Have so many stories told, print a table of the bot's memory, and give the figures.

    What the first part of them needs is loaded then and stays; from there on it shall not grow.

    Raises:
        BenchError: The bot did not start.
        TimeoutError: It told nothing for a long time.
    """
    async with crowd(MEMBERS, **limits_of(10 * MEMBERS), **SHORT) as everybody:
        asking = asyncio.create_task(_ask(everybody, stories))
        sizes: list[float] = []
        begun = time.monotonic()
        try:
            for part in range(1, PARTS + 1):
                await _until(everybody, stories * part // PARTS, stories)
                sizes.append(everybody.bot.rss_mb() or 0.0)
            seconds = time.monotonic() - begun
            await asking
        finally:
            asking.cancel()
        first, growth = sizes[0], max(sizes) / sizes[0] - 1
        print(f"{'stories told':>14}{'bot, MB':>10}{'of the first':>14}")
        for part, size in enumerate(sizes, 1):
            print(f"{stories * part // PARTS:14,}{size:10.1f}{size / first:13.1%}")
        return {
            "stories": stories,
            **everybody.figures(seconds),
            "rss_mb_by_part": [round(size, 1) for size in sizes],
            "rss_growth": round(growth, 4),
        }


async def _ask(everybody: Crowd, stories: int) -> None:
    """Keep as many asking as there are members, until all have been asked for."""
    story = Typed("story", wish=True)
    members = itertools.cycle(everybody.members)
    async with asyncio.TaskGroup() as asked:
        for number in range(stories):
            await everybody.until_told(number - MEMBERS + 1)
            asked.create_task(story.do(everybody, next(members)))


async def _until(everybody: Crowd, told: int, of: int) -> None:
    """Wait until so many are told, and show how far it is."""
    for some in range(len(everybody.told) + 1, told + 1):
        async with asyncio.timeout(STALLED_AFTER):
            await everybody.until_told(some)
        if some % 20 == 0 or some == of:
            show_progress(some, of, "stories told")
    sys.stderr.flush()
