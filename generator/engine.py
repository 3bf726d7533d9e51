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

from generator.sampling import Rules
from generator.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from generator.models.loading import LoadedModel
    from generator.requests import FinishReason, Request

log = logging.getLogger(__name__)


class EngineError(Exception):
    """The engine cannot go on with a story: a step failed, or it is closing."""


class EngineFull(EngineError):  # noqa: N818  # fullness is no fault
    """All slots are taken and enough stories wait already; the caller may try again later."""


class Generation:
    """One story being told: iterate over it for lists of new tokens, the end token never.

    Only for the event loop that submitted it. Raises `EngineError` from the iteration when the
    engine fails or closes before the story's end.
    """

    def __init__(self, engine: Engine, request: Request) -> None:
        self.request = request
        self.finish_reason: FinishReason | None = None
        """Set when the story has ended by itself or by its length; not when cancelled."""
        self._engine = engine
        self._fresh: list[int] = []
        self._failure: str | None = None
        self._over = False
        self._news = asyncio.Event()

    def __aiter__(self) -> AsyncIterator[list[int]]:
        return self

    async def __anext__(self) -> list[int]:
        await self._news.wait()
        if self._fresh:
            tokens, self._fresh = self._fresh, []
            if not self._over:
                self._news.clear()
            return tokens
        if self._failure is not None:
            raise EngineError(self._failure)
        raise StopAsyncIteration

    def cancel(self) -> None:
        """Stops telling: the slot is free at the next step. Harmless after the end."""
        if not self._over:
            self._close()
            self._engine._cancel(self)  # noqa: SLF001  # the two are one unit

    async def aclose(self) -> None:
        """As `cancel`, for `contextlib.aclosing`."""
        self.cancel()

    def _deliver(self, tokens: list[int], reason: FinishReason | None) -> None:
        """On the event loop: what some steps brought."""
        if not self._over:
            self._fresh += tokens
            self.finish_reason = reason
            self._over = reason is not None
            self._news.set()

    def _close(self, failure: str | None = None) -> None:
        """On the event loop: nothing comes any more."""
        if not self._over:
            self._failure = failure
            self._over = True
            self._news.set()


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
        self._rules = Rules.of(slots)
        self._decoder, self._sampler = loaded.prepare(
            slots, threads, self._rules, self._scheduler.history
        )
        self._told: dict[int, Generation] = {}  # by slot; the thread's own
        self._lock = threading.Condition()  # guards what follows
        self._queue: deque[Generation] = deque()
        self._cancelled: list[Generation] = []
        self._closing = False
        self._outbox: dict[Generation, tuple[list[int], FinishReason | None]] = {}
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def slots_in_use(self) -> int:
        """Stories being told now."""
        return self._scheduler.in_use

    @property
    def waiting(self) -> int:
        """Stories that wait for a slot."""
        return len(self._queue)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
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
        await asyncio.to_thread(self._thread.join)
        self._deliver()
        for generation in [*self._told.values(), *self._queue]:
            generation._close("the engine is closing; ask again when it is back")  # noqa: SLF001
        self._told.clear()
        self._queue.clear()

    def submit(self, request: Request) -> Generation:
        """Lets a story in, or into the queue. On the event loop only.

        Raises:
            EngineFull: no slot is free and the queue is full.
            EngineError: the engine is closing.
        """
        generation = Generation(self, request)
        with self._lock:
            if self._closing:
                raise EngineError("the engine is closing; ask again when it is back")
            if len(self._queue) + self._scheduler.in_use >= self._limit:
                raise EngineFull(f"all slots are taken and {len(self._queue)} stories wait already")
            self._queue.append(generation)
            self._lock.notify()
        return generation

    def _cancel(self, generation: Generation) -> None:
        with self._lock:
            try:
                self._queue.remove(generation)
            except ValueError:  # it has a slot
                self._cancelled.append(generation)
                self._lock.notify()

    # From here on: the engine's thread.

    def _run(self) -> None:
        while self._admit():
            try:
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
                    slot = self._scheduler.admit(generation.request.prompt)
                    self._rules.put(slot, generation.request)
                    self._told[slot] = generation
                if self._closing:
                    return False
                if self._told:
                    return True
                self._lock.wait()

    def _step(self) -> None:
        """Reads what is due and draws the next token of every story that has read all."""
        scheduler = self._scheduler
        batch, ready = scheduler.plan()
        logits = self._decoder.step(batch)
        if not len(ready):
            return
        slots = batch.slots
        if len(ready) < len(slots):
            logits, slots = logits[ready], slots[ready]
        drawn = self._sampler.draw(logits, slots, scheduler.lengths[slots])
        news = [self._take(*pair) for pair in zip(slots.tolist(), drawn.tolist(), strict=True)]
        self._post(news)

    def _take(self, slot: int, token: int) -> tuple[Generation, list[int], FinishReason | None]:
        """Puts a drawn token into its story, which may end it."""
        generation = self._told[slot]
        if token in self._ends:
            self._release(generation, slot)
            return generation, [], "stop"
        scheduler, request = self._scheduler, generation.request
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
            slot = next((s for s, told in self._told.items() if told is generation), None)
        if slot is not None:
            del self._told[slot]
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
            generation._deliver(tokens, reason)  # noqa: SLF001

    def _give_up(self) -> None:
        """After a failed step: the stories in it end with an error, and the slots are free."""
        failed = list(self._told.values())
        for generation in failed:
            self._release(generation)

        def close() -> None:
            self._deliver()
            for generation in failed:
                generation._close("the model failed in the middle of the story")  # noqa: SLF001

        self._loop.call_soon_threadsafe(close)
