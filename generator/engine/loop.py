"""Continuous batching: many stories told by one model, one step for all of them at a time.

The engine has one thread. Between two steps it lets stories go and newcomers in; a step reads what
is due in every slot and draws the next token of each. On a GPU the next step is launched before the
tokens of the last one are looked at, so a story's end is known late, and what was drawn after it is
dropped. Tokens go back to the event loop for all stories together, after each step or after a few
where steps are quick, and gather there until a reader takes them.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Self

import numpy as np

from generator.engine.beams import Beams
from generator.engine.errors import EngineError, SlotsFullError
from generator.engine.generation import Generation
from generator.engine.line import Line
from generator.engine.scheduler import Scheduler
from generator.engine.scoring import Scoring
from generator.sampling.rules import Rules

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray
    from torch import Tensor

    from generator.engine.beams import Search
    from generator.engine.scoring import Asked
    from generator.models.decoder import Ints
    from generator.models.loading import LoadedModel
    from generator.models.stepper import Launched
    from generator.sampling.requests import FinishReason, Request

log = logging.getLogger(__name__)

_REST = 0.02
"""Seconds of rest after tokens were handed out: as often as a screen shows something new. A fast
engine's reader gets several at once, since each time costs engine, server and reader, who may share
two cores, what some tokens do. A story's first token and its end do not wait for it."""
_CLOSING = "The story was cut: the engine is closing; ask again when it is back."
_UNBEGUN = "The story could not begin: the model failed at its prompt or its settings."
_FAILED = "The story was cut: the model failed in the middle of it."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flight:
    """A step whose tokens have not been looked at."""

    launched: Launched
    slots: Ints
    """Of the rows that draw."""
    positions: Ints
    """Where in its story each row's token belongs."""
    last: NDArray[np.bool_]
    """Whether it is the story's last token by its length."""
    stories: list[Generation]
    """Whose token it is: by the time it is known, the slot may be another story's."""
    turns: NDArray[np.int64]
    """The slots' turns, which tell whether it is."""
    scored: list[Asked]
    """The rows whose log probabilities are asked for."""
    searched: dict[Search, list[int]]
    """The rows of beams, whose log probabilities come after those."""


@dataclass(frozen=True, slots=True)
class _News:
    """What a step brought."""

    stories: list[Generation]
    tokens: list[int]
    """One for each of the stories."""
    endings: dict[Generation, FinishReason]
    """Those that ended, perhaps without a token."""


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
            waiting: stories that there may be beyond those, and wait.
            threads: CPU threads of a step; 0: what is measured best.
        """
        self._ends = np.array(loaded.ends, np.int32)
        self._limit = slots + waiting
        self._scheduler = Scheduler(slots, loaded.context)
        self._rules = Rules(slots)
        self._stepper = loaded.prepare(slots, threads, self._rules, self._scheduler.history)
        self._loaded = loaded
        self._active: dict[int, Generation] = {}  # by slot; the thread's own
        self._turns = np.zeros(slots, np.int64)  # how many stories each slot has had; the same
        self._flights: deque[_Flight] = deque()  # the same
        self._scoring = Scoring()  # the same
        self._beams = Beams(self._scheduler, self._rules, self._ends)  # the same
        self._lock = threading.Condition()  # guards what follows
        self._line = Line(passes=slots)
        self._cancelled: list[Generation] = []
        self._closing = False
        self._outbox: list[_News] = []
        self._rest_until = 0.0  # the event loop's own

    @property
    def memory(self) -> int:
        """Bytes that the model takes at most while it tells: weights, and all slots' state."""
        return self._loaded.memory + self._stepper.memory

    @property
    def slots(self) -> int:
        """Stories that can be told together, or beams."""
        return len(self._scheduler.lengths)

    @property
    def slots_in_use(self) -> int:
        """Those that tell now."""
        return self._scheduler.in_use

    @property
    def waiting(self) -> int:
        """Stories that wait for a slot, or for as many as they have beams."""
        return len(self._line)

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
        await asyncio.to_thread(self._thread.join)
        self._deliver()
        for generation in [*self._told(), *self._line.leave()]:
            generation.end(_CLOSING)
        self._active.clear()

    def submit(self, request: Request) -> Generation:
        """Lets a story in, or into the queue. On the event loop only.

        Raises:
            ValueError: the prompt is empty, or leaves no room in the context; or there are fewer
                slots than beams.
            SlotsFullError: there are as many stories as may be, told or waiting.
            EngineError: the engine is closing.
        """
        if not 0 < len(request.prompt) < self._scheduler.history.shape[1]:
            raise ValueError("a prompt must have a token, and leave room for one")
        if request.num_beams > self.slots:
            raise ValueError("there must be a slot for each beam")
        generation = Generation(request, self._cancel)
        with self._lock:
            if self._closing:
                raise EngineError(_CLOSING)
            if len(self._line) + len(self._active) + len(self._beams) >= self._limit:
                raise SlotsFullError(
                    "The model has no room for another story: its slots are taken and "
                    f"{self.waiting} stories wait already. Ask again in a moment."
                )
            self._line.add(generation)
            self._lock.notify()
        return generation

    def _cancel(self, generation: Generation) -> None:
        with self._lock:
            try:
                self._line.remove(generation)
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
                while (newcomer := self._line.next(self._scheduler.free)) is not None:
                    try:
                        self._begin(newcomer)
                    except Exception:
                        log.exception("a story could not begin; the others go on")
                        self._release(newcomer)
                        self._loop.call_soon_threadsafe(newcomer.end, _UNBEGUN)
                if self._closing:
                    return False
                if self._active or self._beams:
                    return True
                self._flights.clear()  # of stories that are over
                self._lock.wait()

    def _begin(self, generation: Generation) -> None:
        """Gives a story its slot, or its slots."""
        request = generation.request
        if request.num_beams > 1:
            self._beams.admit(generation)
            return
        slot = self._scheduler.admit(
            request.prompt, request.max_tokens, one_by_one=request.prompt_logprobs
        )
        self._active[slot] = generation
        self._rules.put(slot, request)
        if request.logprobs is not None:
            self._scoring.admit(slot, generation)

    def _told(self) -> list[Generation]:
        """All stories that have slots."""
        return [*self._active.values(), *self._beams.generations]

    def _step(self) -> None:
        """Launches a step, and looks at the tokens of those before that must be known by now."""
        late = self._stepper.ahead if self._launch() else 0
        while len(self._flights) > late:
            self._collect(self._flights.popleft())

    def _launch(self) -> bool:
        """Reads what is due, and draws the next token of every story that has read all.

        Returns whether anything was due.
        """
        scheduler = self._scheduler
        batch, ready = scheduler.plan()
        scored = self._scoring.asked(batch)
        if not len(batch.slots):
            return False
        searched: dict[Search, list[int]] = {}
        if self._beams:
            ready, searched = self._beams.rows(batch.slots, ready)
        slots = batch.slots[ready]
        asked = [*(one.row for one in scored), *chain.from_iterable(searched.values())]
        launched = self._stepper.launch(batch, ready, scheduler.lengths, np.array(asked, np.int32))
        positions = scheduler.lengths[slots]
        self._flights.append(
            _Flight(
                launched=launched,
                slots=slots,
                positions=positions,
                last=positions + 1 == scheduler.limits[slots],
                stories=[self._active[slot] for slot in slots.tolist()],
                turns=self._turns[slots],
                scored=scored,
                searched=searched,
            )
        )
        scheduler.extend(slots)
        return True

    def _collect(self, flight: _Flight) -> None:
        """Puts drawn tokens into their stories, which may end them."""
        drawn = flight.launched.collect()
        slots, stories, tokens = flight.slots, flight.stories, drawn.tolist()
        # The others ended, or were called off, before this was known.
        alive = self._turns[slots] == flight.turns
        if flight.scored:
            told = dict(zip(slots[alive].tolist(), drawn[alive].tolist(), strict=True))
            self._scoring.note(flight.scored, flight.launched.logprobs, told)
        stopped = np.isin(drawn, self._ends)
        going = alive & ~stopped & ~flight.last
        self._scheduler.history[slots[going], flight.positions[going]] = drawn[going]
        endings: dict[Generation, FinishReason] = {}
        if not going.all():
            silent = ~alive | stopped
            for index in np.flatnonzero(alive & ~going).tolist():
                generation = stories[index]
                if not generation.request.max_tokens:
                    stopped[index], silent[index] = False, True
                endings[generation] = "stop" if stopped[index] else "length"
                self._release(generation, int(slots[index]))
            heard = np.flatnonzero(~silent).tolist()
            stories, tokens = [stories[at] for at in heard], [tokens[at] for at in heard]
        if stories or endings:
            self._post(_News(stories, tokens, endings))
        if flight.searched and (logprobs := flight.launched.logprobs) is not None:
            self._search(flight.searched, logprobs[len(flight.scored) :])

    def _search(self, searched: dict[Search, list[int]], logprobs: Tensor) -> None:
        """Lets searches go on from a step; those that are over are told as a whole."""
        parts = logprobs.split([len(rows) for rows in searched.values()])
        for search, part in zip(searched, parts, strict=True):
            found = self._beams.go_on(search, part.cpu(), self._stepper)
            if found is not None:
                story = search.generation
                told = [story] * len(found.tokens)
                self._post(_News(told, found.tokens, {story: found.reason}))

    def _release(self, generation: Generation, slot: int | None = None) -> None:
        """Frees the slot of a story, or its slots, unless it has ended before."""
        if generation.request.num_beams > 1:
            self._beams.release(generation)
            return
        if slot is None:
            slot = next((s for s, active in self._active.items() if active is generation), None)
        if slot is not None:
            del self._active[slot]
            self._turns[slot] += 1
            self._scoring.release(slot)
            self._scheduler.release(slot)

    def _post(self, news: _News) -> None:
        """Leaves news for the event loop, and wakes it unless it will look anyway."""
        urgent = bool(news.endings) or not all(story.begun for story in news.stories)
        with self._lock:
            wake = urgent or not self._outbox
            self._outbox.append(news)
        if wake:
            self._loop.call_soon_threadsafe(self._deliver if urgent else self._deliver_soon)

    def _deliver_soon(self) -> None:
        """On the event loop: hands out what has gathered, at once or after a rest."""
        rest = self._rest_until - self._loop.time()
        if rest > 0:
            self._loop.call_later(rest, self._deliver)
        else:
            self._deliver()

    def _deliver(self) -> None:
        """On the event loop: hands out what has gathered."""
        with self._lock:
            news, self._outbox = self._outbox, []
        fresh: dict[Generation, list[int]] = {}
        ends: dict[Generation, FinishReason] = {}
        for step in news:
            for generation, token in zip(step.stories, step.tokens, strict=True):
                fresh.setdefault(generation, []).append(token)
            ends |= step.endings
        for generation in ends:
            fresh.setdefault(generation, [])
        for generation, told in fresh.items():
            generation.deliver(told, ends.get(generation))
        self._rest_until = self._loop.time() + _REST

    def _give_up(self) -> None:
        """After a failed step: the stories in it end with an error, and the slots are free."""
        self._flights.clear()
        failed = self._told()
        for generation in failed:
            self._release(generation)

        def close() -> None:
            self._deliver()
            for generation in failed:
                generation.end(_FAILED)

        self._loop.call_soon_threadsafe(close)
