"""Searches with beams: one story, looked for in several of the engine's slots at once.

Every beam is in a slot of its own, read in the same steps as the stories of others. After a step
the best ways on are chosen among all beams. A beam that has several is copied to the slots of those
that have none; where it has one, it stays where it is. The story is known at the end, as a whole.

Scores, and when to stop, are those of transformers' `generate` with its own length penalty (1: the
mean log probability of a token counts) and `early_stopping` (off: a search ends once no beam is
better than the worst of as many ended stories as there are beams).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from torch import Tensor

    from generator.engine.generation import Generation
    from generator.engine.scheduler import Scheduler
    from generator.models.decoder import Ints
    from generator.models.stepper import Stepper
    from generator.sampling.beams import Ways
    from generator.sampling.requests import FinishReason
    from generator.sampling.rules import Rules


@dataclass(frozen=True, slots=True)
class Found:
    """A story that has ended."""

    tokens: list[int]
    """Without the end token."""
    reason: FinishReason
    score: float = 0
    """Mean log probability of its tokens, as the rules leave it."""


@dataclass(slots=True, eq=False)
class Search:
    """One story's search."""

    generation: Generation
    slots: list[int]
    """All that it holds."""
    beams: Ints
    """The slots of its beams, the best first; before the first choice there is one beam."""
    scores: NDArray[np.float32]
    """Of each beam, summed over its tokens."""
    ended: list[Found] = field(default_factory=list)
    """At most as many as there may be beams; the best first."""


class Beams:
    """The searches under way in an engine; all of it is for the engine's thread."""

    def __init__(self, scheduler: Scheduler, rules: Rules, ends: Ints) -> None:
        """Prepares for searches in the scheduler's slots.

        Args:
            scheduler: of the engine.
            rules: of every slot.
            ends: tokens that end a story.
        """
        self._scheduler, self._rules, self._ends = scheduler, rules, ends
        self._searches: dict[Generation, Search] = {}

    def __len__(self) -> int:
        return len(self._searches)

    @property
    def generations(self) -> Iterable[Generation]:
        """The stories that are searched."""
        return self._searches.keys()

    def admit(self, generation: Generation) -> None:
        """Gives a search its slots, which must be free; the first of them reads the prompt."""
        request = generation.request
        slots = [self._scheduler.admit(request.prompt, request.max_tokens)]
        slots += [self._scheduler.reserve() for _ in range(request.num_beams - 1)]
        self._searches[generation] = Search(  # before what may fail, so that it can be released
            generation, slots, np.array(slots[:1], np.int32), np.zeros(1, np.float32)
        )
        for slot in slots:
            self._rules.put(slot, request)

    def release(self, generation: Generation) -> None:
        """Frees a search's slots, unless it has ended before."""
        search = self._searches.pop(generation, None)
        for slot in search.slots if search else ():
            self._scheduler.release(slot)

    def rows(self, slots: Ints, ready: Ints) -> tuple[Ints, dict[Search, list[int]]]:
        """Which rows of a step are drawn, and which are those of each search's beams, in order.

        Args:
            slots: of all rows.
            ready: the rows whose stories are read as a whole.
        """
        row_of = dict(zip(slots[ready].tolist(), ready.tolist(), strict=True))
        searched = {
            search: [row_of.pop(slot) for slot in search.beams.tolist()]
            for search in self._searches.values()
            if int(search.beams[0]) in row_of  # all are read in the same steps
        }
        return np.array(list(row_of.values()), np.int32), searched

    def go_on(self, search: Search, logprobs: Tensor, stepper: Stepper) -> Found | None:
        """Chooses how a search goes on; the story once it is over, and its slots are free.

        Args:
            search: may have been released since its step was launched.
            logprobs: (beams, vocabulary), the model's own of what comes next in each.
            stepper: of the engine.
        """
        if self._searches.get(search.generation) is not search:
            return None
        lengths = self._scheduler.lengths[search.beams]
        width = len(search.slots)
        ways = stepper.searcher.ways(logprobs, search.scores, search.beams, lengths, width)
        going = self._end(search, ways, int(lengths[0]))
        if len(going):
            self._move(search, ways, going, stepper)
            return None
        # Without one that has ended there is no way on at all.
        best = search.ended[0] if search.ended else Found(self._told(search, 0), "length")
        self.release(search.generation)
        return best

    def _end(self, search: Search, ways: Ways, length: int) -> NDArray[np.intp]:
        """Notes which stories end; the ways that go on, best first: none where it is over."""
        width, told = len(search.slots), length + 1 - len(search.generation.request.prompt)
        means = ways.scores / np.float32(told)
        stopped = np.isin(ways.tokens, self._ends)
        last = length + 1 == self._scheduler.limits[search.beams[0]]
        for at in np.flatnonzero(stopped[:width] | last)[:width].tolist():
            self._note(search, ways, at, float(means[at]), stopped=bool(stopped[at]))
        going = np.flatnonzero(~stopped & (not last))
        going = going[np.argsort(-ways.scores[going], kind="stable")][:width]
        if len(search.ended) == width and len(going) and means[going[0]] <= search.ended[-1].score:
            return going[:0]
        return going

    def _note(self, search: Search, ways: Ways, at: int, score: float, *, stopped: bool) -> None:
        """Keeps a story that ends, unless as many are better as there may be beams."""
        width = len(search.slots)
        if len(search.ended) == width and score <= search.ended[-1].score:
            return
        tokens = self._told(search, ways.beams[at])
        if not stopped:
            tokens.append(int(ways.tokens[at]))
        search.ended.append(Found(tokens, "stop" if stopped else "length", score))
        search.ended.sort(key=lambda found: -found.score)
        del search.ended[width:]

    def _told(self, search: Search, beam: int) -> list[int]:
        slot, prompt = search.beams[beam], len(search.generation.request.prompt)
        told: list[int] = self._scheduler.history[
            slot, prompt : self._scheduler.lengths[slot]
        ].tolist()
        return told

    def _move(self, search: Search, ways: Ways, going: NDArray[np.intp], stepper: Stepper) -> None:
        """Puts each way on into a slot: of the beam that it goes on from, or of one without any."""
        parents = search.beams[ways.beams[going]].tolist()
        spare = [slot for slot in search.slots if slot not in parents]
        slots: list[int] = []
        for parent in parents:
            if parent not in slots:
                slots.append(parent)
                continue
            slots.append(spare.pop())
            stepper.copy(parent, slots[-1], *self._scheduler.copy(parent, slots[-1]))
        search.beams, search.scores = np.array(slots, np.int32), ways.scores[going]
        self._scheduler.put(search.beams, ways.tokens[going])
