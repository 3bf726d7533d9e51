"""How the tests ask an engine for a story, and watch its steps."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from generator.sampling.settings import Sampling

if TYPE_CHECKING:
    from generator.engine.loop import Engine
    from generator.models.decoder import Batch, Ints
    from generator.models.stepper import Launched, Stepper
    from generator.sampling.requests import Request

GREEDY = Sampling(temperature=0)
LIVELY = Sampling(temperature=0.9, top_k=100, top_p=0.95, repetition_penalty=1.1)


async def tell(engine: Engine, request: Request) -> tuple[list[int], str | None]:
    generation = engine.submit(request)
    told = [token async for tokens in generation for token in tokens]
    return told, generation.finish_reason


class Watched:
    """A stepper that keeps which slots took part in each step, and halts before one if told to."""

    def __init__(self, engine: Engine, halt: int | None = None) -> None:
        self._stepper: Stepper = engine._stepper
        self.ahead, self.memory = self._stepper.ahead, self._stepper.memory
        self.searcher, self.copy = self._stepper.searcher, self._stepper.copy
        self.steps: list[dict[int, int]] = []
        self.fail = False
        self._halt = halt
        self._halts, self._goes_on = threading.Event(), threading.Event()
        engine._stepper = self

    async def halted(self) -> None:
        assert await asyncio.to_thread(self._halts.wait, 60)

    def go_on(self) -> None:
        self._goes_on.set()

    def launch(self, batch: Batch, ready: Ints, lengths: Ints, scored: Ints) -> Launched:
        if self.fail:
            raise RuntimeError("the model broke")
        if len(self.steps) == self._halt:
            self._halts.set()
            assert self._goes_on.wait(60)
        self.steps.append(dict(zip(batch.slots.tolist(), batch.counts.tolist(), strict=True)))
        return self._stepper.launch(batch, ready, lengths, scored)
