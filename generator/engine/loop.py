"""Continuous batching: many stories told by one model, one step for all of them at a time.

The engine has one thread. Between two steps it lets stories go and newcomers in; a step reads what
is due in every slot and draws the next token of each. Tokens go back to the event loop once a step
for all stories together, and gather there until a reader takes them.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Self

from generator.engine.beams import BeamSearch
from generator.engine.errors import EngineError, SlotsFullError
from generator.engine.generation import Generation
from generator.engine.scheduler import Scheduler
from generator.engine.scoring import Scoring
from generator.sampling.rules import Rules

if TYPE_CHECKING:
    from types import TracebackType

    from generator.models.loading import LoadedModel
    from generator.sampling.requests import FinishReason, Request

log = logging.getLogger(__name__)

_CLOSING = "The story was cut: the engine is closing; ask again when it is back."
_FAILED = "The story was cut: the model failed in the middle of it."


class Engine:
    """Tells stories in a fixed number of slots, as an asynchronous context manager.

    `async with Engine(loaded) as engine:` starts the thread and stops it; stories still being told
    then end with `EngineError`.
    """

    def __init__(
        self, loaded: LoadedModel, *, slots: int = 32, waiting: int = 64, threads: int = 0
    ) -> None:
        """Prepares state for `slots` stories.

        Args:
            loaded: the model.
            slots: stories told together.
            waiting: stories that may wait for a slot.
            threads: CPU threads of a step; 0: what is measured best.
        """
        self._ends = frozenset(loaded.ends)
        self._limit = slots + waiting
        self._scheduler = Scheduler(slots, loaded.context)
        self._rules = Rules(slots)
        self._decoder, self._sampler = loaded.prepare(
            slots, threads, self._rules, self._scheduler.history
        )
        self.memory = loaded.memory + self._decoder.memory
        """Bytes that the model takes at most while it tells: weights, and all slots' state."""
        self._beams = BeamSearch(loaded)
        self._searches: dict[Generation, asyncio.Task[None]] = {}
        self._active: dict[int, Generation] = {}  # by slot; the thread's own
        self._scoring = Scoring()
        self._lock = threading.Condition()  # guards what follows
        self._queue: deque[Generation] = deque()
        self._cancelled: list[Generation] = []
        self._closing = False
        self._outbox: dict[Generation, tuple[list[int], FinishReason | None]] = {}

    @property
    def slots_in_use(self) -> int:
        """Stories being told now."""
        return self._scheduler.in_use

    @property
    def waiting(self) -> int:
        """Stories that wait for a slot, and beam searches, under way or not."""
        return len(self._queue) + len(self._searches)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._closing = True
            self._lock.notify()
        searches = list(self._searches.values())
        for generation in self._searches:
            generation.end(_CLOSING)
        await asyncio.to_thread(self._thread.join)
        await asyncio.gather(*searches)
        self._beams.close()
        self._deliver()
        for generation in [*self._active.values(), *self._queue]:
            generation.end(_CLOSING)
        self._active.clear()
        self._queue.clear()

    def submit(self, request: Request) -> Generation:
        """Lets a story in, or into the queue. On the event loop only.

        Raises:
            ValueError: the prompt is empty, or leaves no room in the context.
            SlotsFullError: no slot is free and the queue is full.
            EngineError: the engine is closing.
        """
        if not 0 < len(request.prompt) < self._scheduler.history.shape[1]:
            raise ValueError("a prompt must have a token, and leave room for one")
        generation = Generation(request, self._cancel)
        with self._lock:
            if self._closing:
                raise EngineError(_CLOSING)
            if len(self._queue) + len(self._searches) + self._scheduler.in_use >= self._limit:
                raise SlotsFullError(
                    "The model has no room for another story: all slots are taken and "
                    f"{self.waiting} stories wait already. Ask again in a moment."
                )
            if request.num_beams == 1:
                self._queue.append(generation)
                self._lock.notify()
                return generation
        self._searches[generation] = asyncio.create_task(self._search(generation))
        return generation

    async def _search(self, generation: Generation) -> None:
        try:
            found = await self._beams.search(generation.request, lambda: generation.over)
        except Exception:
            log.exception("a beam search failed")
            generation.end(_FAILED)
        else:
            generation.deliver(*found)
        finally:
            del self._searches[generation]

    def _cancel(self, generation: Generation) -> None:
        if generation.request.num_beams > 1:
            return  # a search sees for itself that its story is over
        with self._lock:
            try:
                self._queue.remove(generation)
            except ValueError:  # it has a slot
                self._cancelled.append(generation)
                self._lock.notify()

    # From here on: the engine's thread.

    def _run(self) -> None:
        while True:
            try:
                if not self._admit():
                    return
                self._step()
            except Exception:
                log.exception("a step failed; the stories in it are given up")
                self._give_up()

    def _admit(self) -> bool:
        """Between two steps: lets stories go and newcomers in; waits while there is none.

        Returns whether to go on.
        """
        with self._lock:
            while True:
                for generation in self._cancelled:
                    self._release(generation)
                self._cancelled.clear()
                while self._queue and self._scheduler.free:
                    generation = self._queue.popleft()
                    request = generation.request
                    slot = self._scheduler.admit(request.prompt, one_by_one=request.prompt_logprobs)
                    self._active[slot] = generation
                    self._rules.put(slot, request)
                    if request.logprobs is not None:
                        self._scoring.admit(slot, generation)
                if self._closing:
                    return False
                if self._active:
                    return True
                self._lock.wait()

    def _step(self) -> None:
        """Reads what is due and draws the next token of every story that has read all."""
        scheduler = self._scheduler
        batch, ready = scheduler.plan()
        logits = self._decoder.step(batch)
        self._scoring.read(batch, logits)
        if not len(ready):
            return
        slots = batch.slots
        if len(ready) < len(slots):
            logits, slots = logits[ready], slots[ready]
        drawn = self._sampler.draw(logits, slots, scheduler.lengths[slots])
        self._scoring.drawn(slots, drawn)
        news = [self._take(*pair) for pair in zip(slots.tolist(), drawn.tolist(), strict=True)]
        self._post(news)

    def _take(self, slot: int, token: int) -> tuple[Generation, list[int], FinishReason | None]:
        """Puts a drawn token into its story, which may end it."""
        generation = self._active[slot]
        scheduler, request = self._scheduler, generation.request
        if not request.max_tokens:
            self._release(generation, slot)
            return generation, [], "length"
        if token in self._ends:
            self._release(generation, slot)
            return generation, [], "stop"
        scheduler.append(slot, token)
        length = int(scheduler.lengths[slot])
        full = min(len(request.prompt) + request.max_tokens, scheduler.history.shape[1])
        if length < full:
            return generation, [token], None
        self._release(generation, slot)
        return generation, [token], "length"

    def _release(self, generation: Generation, slot: int | None = None) -> None:
        """Frees the slot of a story, unless it has ended before."""
        if slot is None:
            slot = next((s for s, active in self._active.items() if active is generation), None)
        if slot is not None:
            del self._active[slot]
            self._scoring.release(slot)
            self._scheduler.release(slot)

    def _post(self, news: list[tuple[Generation, list[int], FinishReason | None]]) -> None:
        """Leaves news for the event loop, and wakes it unless it has been woken already."""
        with self._lock:
            wake = not self._outbox
            for generation, tokens, reason in news:
                before = self._outbox.get(generation)
                self._outbox[generation] = (before[0] + tokens if before else tokens, reason)
        if wake:
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        """On the event loop: hands out what has gathered."""
        with self._lock:
            news, self._outbox = self._outbox, {}
        for generation, (tokens, reason) in news.items():
            generation.deliver(tokens, reason)

    def _give_up(self) -> None:
        """After a failed step: the stories in it end with an error, and the slots are free."""
        failed = list(self._active.values())
        for generation in failed:
            self._release(generation)

        def close() -> None:
            self._deliver()
            for generation in failed:
                generation.end(_FAILED)

        self._loop.call_soon_threadsafe(close)
