"""A fleet second by second, in numbers of stories instead of stories: for very many servers.

All stories of a second go the same way. What is left out beside `by_story`: every story has the
mean length, its edits take no time, and what happens within a second happens at its end; so it
knows little of the pauses in stories of which many appear whole. A test holds that both agree
elsewhere.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.messages.pacing import AMBIENT_PER_SECOND, PER_SECOND
from bot.messages.telling import FIRST_WORDS
from bot.simulate.assumptions import LEAD, MEAN_TOKENS, WORDS_PER_TOKEN
from bot.simulate.by_story import PLACES
from bot.simulate.outcome import Outcome
from bot.worker.dispatcher import AHEAD

if TYPE_CHECKING:
    from bot.simulate.assumptions import Fleet, Village

KEPT_FOR_URGENT = 1 / 5
"""Of a bot's edits a second, kept for first and last words (`Rate`)."""


@dataclass(slots=True)
class _Group:
    """Stories that were asked for in one second and taken in one."""

    asked: float
    count: float
    queued: float = 0.0
    due: float = 0.0
    """When their last words are."""
    hidden: float = 0.0
    """Of them, those that show no word yet."""
    unshown: float = 0.0
    """Of them, those whose end does not stand there yet."""


def drawn(mean: float, draw: random.Random) -> int:
    """How many come where so many are expected (Poisson; from 50 on by its normal limit)."""
    if mean > 50:  # noqa: PLR2004
        return max(0, round(draw.gauss(mean, math.sqrt(mean))))
    limit, product, number = math.exp(-mean), draw.random(), 0
    while product > limit:
        product *= draw.random()
        number += 1
    return number


def simulate(fleet: Fleet, village: Village, begin: float, end: float, seed: int) -> Outcome:
    """Let a village ask from one second to another, and tell it all to the last word."""
    draw, world = random.Random(seed), _World(fleet)
    second = begin
    while second < end or world.is_busy:
        world.pass_second(second, drawn(village.rate(second), draw) if second < end else 0)
        second += 1
    return world.outcome


class _World:
    """The queue of groups, those with no words yet, and those with an end to be shown."""

    def __init__(self, fleet: Fleet) -> None:
        self.outcome = Outcome()
        self._fleet = fleet
        self._waiting: deque[_Group] = deque()
        self._hidden: deque[_Group] = deque()
        self._ending: deque[_Group] = deque()
        self._waits = 0.0
        self._shows = 0.0
        """Stories whose words still come: told or not, with an end that is not due yet."""
        self._growing: deque[_Group] = deque()
        words = MEAN_TOKENS * WORDS_PER_TOKEN - FIRST_WORDS
        self._showing = words / fleet.words_per_second
        # Half of the last pause is left over, on average; a story is here for whole seconds.
        self._wanted = self._showing / (fleet.spacing + fleet.edit) - 0.5
        self._wanted_a_second = self._wanted / math.ceil(self._showing)
        self._most = fleet.bots * PER_SECOND

    @property
    def is_busy(self) -> bool:
        """Something of what was asked for is not done."""
        return bool(self._waiting or self._growing or self._ending)

    def pass_second(self, now: float, asked: int) -> None:
        """Take wishes, begin stories, and write messages, the most urgent first."""
        self._ask(now, asked)
        self._begin(now)
        while self._growing and self._growing[0].due <= now:
            group = self._growing.popleft()
            self._shows -= group.count
            self._ending.append(group)
        last = self._end(now, self._most)
        first = self._first(now, self._most - last)
        # Of what is left a part is kept for those two, should more of them come.
        left = max(0.0, self._most * (1 - KEPT_FOR_URGENT) - last - first)
        places = min(left, self._fleet.bots * AMBIENT_PER_SECOND, self._waits / PLACES)
        more = min(left - places, self._shows * self._wanted_a_second)
        if self._shows > 0:
            each = self._wanted * more / (self._shows * self._wanted_a_second)
            pause = max(self._fleet.spacing + self._fleet.edit, self._showing / (1 + each))
            self.outcome.pauses.add(pause, last + more)
        edits = last + first + places + more
        self.outcome.edits += edits
        self.outcome.busiest = max(self.outcome.busiest, edits)

    def _ask(self, now: float, asked: int) -> None:
        taken = min(float(asked), max(0.0, self._fleet.waiting - self._waits))
        self.outcome.asked += asked
        self.outcome.refused += asked - taken
        if taken:
            self._waiting.append(_Group(now, taken))
            self._waits += taken

    def _begin(self, now: float) -> None:
        ahead = self._shows + sum(group.unshown for group in self._ending)
        room = min(self._fleet.most_stories, max(0.0, self._fleet.bots * AHEAD - ahead))
        while self._waiting and room > 0:
            group = self._waiting[0]
            begun = min(group.count, room)
            room -= begun
            self._waits -= begun
            group.count -= begun
            if group.count <= 0:
                self._waiting.popleft()
            told = MEAN_TOKENS * self._fleet.step(self._fleet.tellers if self._waiting else 1)
            following = _Group(group.asked, begun, now - group.asked, hidden=begun, unshown=begun)
            following.due = now + max(told, self._showing)
            self.outcome.busy += begun / self._fleet.most_stories * self._fleet.replicas
            self._hidden.append(following)
            self._growing.append(following)
            self._shows += begun

    def _end(self, now: float, room: float) -> float:
        """Show how stories ended; gives the edits."""
        done = 0.0
        while self._ending and done < room:
            group = self._ending[0]
            shown = min(group.unshown, room - done)
            done += shown
            group.unshown -= shown
            self.outcome.told += shown
            self.outcome.late.add(max(0.0, now - math.ceil(group.due)), shown)
            # One that shows no word yet appears whole, and is not written twice.
            if (at_once := max(0.0, group.hidden - group.unshown)) > 0:
                group.hidden -= at_once
                self.outcome.whole += at_once
                self._appear(group, now, at_once)
            if group.unshown <= 0:
                self._ending.popleft()
        return done

    def _first(self, now: float, room: float) -> float:
        """Show first words; gives the edits."""
        done = 0.0
        while self._hidden and done < room:
            group = self._hidden[0]
            shown = min(group.hidden, room - done)
            done += shown
            group.hidden -= shown
            self._appear(group, now, shown)
            if group.hidden <= 0:
                self._hidden.popleft()
        return done

    def _appear(self, group: _Group, now: float, count: float) -> None:
        least = self._fleet.taken + LEAD * self._fleet.step(1) + self._fleet.edit
        if count > 0:
            self.outcome.began(group.asked, group.queued, now - group.asked + least, count)
