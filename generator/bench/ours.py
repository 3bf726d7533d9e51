"""Our own engine among the contestants."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from generator.engine.loop import Engine
from generator.sampling.requests import Request

if TYPE_CHECKING:
    from generator.bench.work import Workload
    from generator.models.loading import LoadedModel


class Kataribe:
    """Our own engine, in an event loop of its own."""

    name = "kataribe"

    def __init__(self, loaded: LoadedModel, slots: int, threads: int) -> None:
        self._runner = asyncio.Runner()
        self._engine = Engine(loaded, slots=slots, threads=threads)
        self._runner.run(self._engine.__aenter__())

    def tell(self, workload: Workload) -> float | None:
        """See `Contestant.tell`."""
        return statistics.median(told.first for told in self._runner.run(self._tell(workload)))

    def tell_arriving(self, workload: Workload, seconds: float) -> dict[str, float]:
        """The stories all at once, then one after the other over so long; for the last line."""
        told: dict[str, float] = {"stories": len(workload.prompts), "over_s": seconds}
        for name, over in (("_together", 0.0), ("", seconds)):
            begin = time.perf_counter()
            stories = self._runner.run(self._tell(workload, over))
            told[f"seconds{name}"] = round(time.perf_counter() - begin, 2)
            longest = max(story.longest_pause for story in stories)
            told[f"longest_pause_ms{name}"] = round(1000 * longest, 1)
        return told

    def close(self) -> None:
        """See `Contestant.close`."""
        self._runner.run(self._engine.__aexit__(None, None, None))
        self._runner.close()

    async def _tell(self, workload: Workload, over: float = 0.0) -> list[_Told]:
        async def one(seed: int, prompt: tuple[int, ...]) -> _Told:
            await asyncio.sleep(seed * over / len(workload.prompts))
            begin = time.perf_counter()
            generation = self._engine.submit(
                Request(
                    prompt=prompt,
                    sampling=workload.sampling,
                    seed=seed,
                    max_tokens=workload.tokens,
                    min_tokens=workload.tokens,
                )
            )
            times = [time.perf_counter() async for _ in generation]
            pauses = (after - before for before, after in pairwise(times))
            return _Told(first=times[0] - begin, longest_pause=max(pauses, default=0.0))

        return await asyncio.gather(*(one(*pair) for pair in enumerate(workload.prompts)))


@dataclass(frozen=True, slots=True)
class _Told:
    """One story's times, in seconds."""

    first: float
    longest_pause: float
    """Between two tokens."""
