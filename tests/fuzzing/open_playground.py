"""`python -m tests.fuzzing.open_playground`: a playground that limits nobody's rate."""

from __future__ import annotations

import asyncio
import itertools
import sys

from bot.playground import Playground
from bot.playground.rate_limits import RateLimits


def unlimited() -> RateLimits:
    """Limits whose clock leaps at every look, so that no window is ever used up."""
    return RateLimits(clock=itertools.count(0.0, 60.0).__next__)


async def run() -> None:
    """Until standard input ends."""
    async with Playground(port=0, rate_limits=unlimited()) as playground:
        print(playground.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(run())
