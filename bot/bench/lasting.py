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
        print(f"{'stories told':>14}{'bot, MB':>10}{'of the first':>14}")
        try:
            for part in range(1, PARTS + 1):
                told = stories * part // PARTS
                await _until(everybody, told, stories)
                sizes.append(everybody.bot.rss_mb() or 0.0)
                print(f"{told:14,}{sizes[-1]:10.1f}{sizes[-1] / sizes[0]:13.1%}", flush=True)
            seconds = time.monotonic() - begun
            await asking
        finally:
            asking.cancel()
        growth = max(sizes) / sizes[0] - 1
        return {
            "stories": stories,
            **everybody.figures(seconds),
            "rss_mb_by_part": [round(size, 1) for size in sizes],
            "rss_growth": round(growth, 4),
        }


async def _ask(everybody: Crowd, stories: int) -> None:
    """Keep as many asking as there are members, until all are asked for; who is refused goes on."""
    story, members = Typed("story", wish=True), itertools.cycle(everybody.members)
    begun = 0
    while (missing := stories - begun + _lost(everybody)) > 0:
        async with asyncio.TaskGroup() as asked:
            for _ in range(missing):
                await everybody.until_told(begun - _lost(everybody) - MEMBERS + 1)
                asked.create_task(story.do(everybody, next(members)))
                begun += 1


def _lost(everybody: Crowd) -> int:
    """Wishes that nothing comes of."""
    return everybody.refused + everybody.unanswered


async def _until(everybody: Crowd, told: int, of: int) -> None:
    """Wait until so many are told, and show how far it is."""
    for some in range(len(everybody.told) + 1, told + 1):
        async with asyncio.timeout(STALLED_AFTER):
            await everybody.until_told(some)
        if some % 20 == 0 or some == of:
            show_progress(some, of, "stories told")
    sys.stderr.flush()
