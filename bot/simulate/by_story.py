"""A fleet story by story and edit by edit, by SimPy: exact, for up to some thousand servers.

It follows what the bot does (bot/worker/dispatcher.py, bot/messages/schedule.py), and takes the
limits from the same code: `Rate` and `Turns` are the bot's own. What it leaves out: turns among
servers (all wait in one line, which changes who waits but not how long), failures, and presses.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING, Any

import simpy

from bot.messages.pacing import AMBIENT_PER_SECOND, PER_SECOND, Rate, Turns
from bot.messages.telling import FIRST_WORDS, Urgency
from bot.simulate.assumptions import LEAD, TOKENS, WORDS_PER_TOKEN
from bot.simulate.outcome import Outcome, Shown
from bot.worker.dispatcher import AHEAD

if TYPE_CHECKING:
    import random
    from collections.abc import Generator, Iterable

    from bot.simulate.assumptions import Fleet, Village

    Process = Generator[simpy.Event, Any, None]

QUARTER = 900.0
PLACES = 2.5
"""Seconds between two edits that say a place, which wait for twice a message's spacing."""


def moments(village: Village, until: float, draw: random.Random) -> Iterable[float]:
    """When stories are asked for: as often as the hour has it, independently of each other."""
    begin = 0.0
    while begin < until:
        # Within a quarter of an hour the rate only rises or only falls.
        end = min(begin + QUARTER, until)
        highest, at = max(village.rate(begin), village.rate(end - 1e-3)), begin
        while (at := at + draw.expovariate(highest)) < end:
            if draw.random() * highest < village.rate(at):
                yield at
        begin = end


def length(draw: random.Random) -> int:
    """Tokens of a story."""
    place = draw.random() * (len(TOKENS) - 1)
    below = TOKENS[int(place)]
    return round(below + (place % 1) * (TOKENS[int(place) + 1] - below))


def simulate(fleet: Fleet, asked: Iterable[tuple[float, int]]) -> Outcome:
    """Tell stories that are asked for at these seconds, of so many tokens, to the last word."""
    world = _World(simpy.Environment(), fleet)
    world.env.process(world.ask(asked))
    world.env.run()
    return world.outcome


class _World:
    """The queue, and one process for each story and each message."""

    def __init__(self, env: simpy.Environment, fleet: Fleet) -> None:
        self.env = env
        self.fleet = fleet
        self.outcome = Outcome()
        self._tellers = simpy.Resource(env, fleet.tellers)
        self._ahead = 0
        """Stories that were told, and whose end does not stand there yet."""
        self._caught_up = env.event()
        self._engine = _Engine(env, fleet, self.outcome)
        self._edits = _Edits(env, fleet.bots, self.outcome)

    def ask(self, asked: Iterable[tuple[float, int]]) -> Process:
        for at, tokens in asked:
            yield self.env.timeout(at - self.env.now)
            self.outcome.asked += 1
            if self._tellers.count + len(self._tellers.queue) >= self.fleet.waiting:
                self.outcome.refused += 1
            else:
                self.env.process(self._story(tokens))

    def _story(self, tokens: int) -> Process:
        """From its wish to the end of its telling; how it is shown goes on by itself."""
        story = Shown(self.env.now, tokens)
        self.outcome.stories.append(story)
        yield self.env.timeout(self.fleet.taken)
        with self._tellers.request() as turn:
            while not turn.triggered:
                yield turn | self.env.timeout(PLACES)
                if not turn.triggered:
                    place = self._edits.want(Urgency.AMBIENT, story.asked)
                    yield turn | place
                    if place.triggered:
                        story.edits += 1
                    else:
                        self._edits.forget(place)
            while self._ahead >= self.fleet.bots * AHEAD:
                yield self._caught_up
            queued = round(self.env.now - story.asked - self.fleet.taken, 6)
            begun, told = self._engine.tell(tokens)
            yield begun
            self.env.process(self._message(story, queued, told))
            if not told.processed:
                yield told
            self._ahead += 1

    def _message(self, story: Shown, queued: float, told: simpy.Event) -> Process:
        """The edits of one message: first words, more of them, and how it ended."""
        env, fleet = self.env, self.fleet
        more = max(0.0, story.tokens * WORDS_PER_TOKEN - FIRST_WORDS) / fleet.words_per_second
        whole = env.process(self._whole(more, told))
        edited = 0.0
        while True:
            yield env.timeout(fleet.spacing if edited else 0) | whole
            if whole.processed:
                break
            edit = self._edits.want(Urgency.NEXT if edited else Urgency.FIRST, edited)
            yield edit | whole
            if not edit.triggered:  # it becomes one of the end
                self._edits.forget(edit)
                break
            yield env.timeout(fleet.edit)
            self._shown(story, queued, edited)
            edited = env.now
        due = env.now
        yield self._edits.want(Urgency.LAST, edited)
        self.outcome.late.add(env.now - due)
        yield env.timeout(fleet.edit)
        self.outcome.whole += not edited
        self._shown(story, queued, edited)
        self.outcome.told += 1
        self._ahead -= 1
        self._caught_up.succeed()
        self._caught_up = env.event()

    def _whole(self, more: float, told: simpy.Event) -> Process:
        """Until every word has been said; one of SimPy's conditions serves one waiting only."""
        yield self.env.timeout(more)
        if not told.processed:
            yield told

    def _shown(self, story: Shown, queued: float, edited: float) -> None:
        story.edits += 1
        story.over_at = self.env.now
        if edited:
            self.outcome.pauses.add(self.env.now - edited)
        else:
            story.words_at = self.env.now
            self.outcome.began(story.asked, queued, self.env.now - story.asked)


class _Engine:
    """All replicas: a step for all stories that are told, which share it equally."""

    def __init__(self, env: simpy.Environment, fleet: Fleet, outcome: Outcome) -> None:
        self._env = env
        self._fleet = fleet
        self._outcome = outcome
        self._steps = 0.0
        """Made so far, parts of one included: a story of n tokens ends n of them later."""
        self._at = 0.0
        self._telling = 0
        self._due: list[tuple[float, int, simpy.Event, bool]] = []
        """What happens after so many steps; True: a story ends."""
        self._numbers = count()
        self._planned = 0

    def tell(self, tokens: int) -> tuple[simpy.Event, simpy.Event]:
        """Begin a story; gives what happens when it has words to be shown, and at its end."""
        self._go_on()
        self._telling += 1
        begun, told = self._env.event(), self._env.event()
        for event, after in ((begun, min(tokens, LEAD)), (told, tokens)):
            of = (self._steps + after, next(self._numbers), event, event is told)
            heapq.heappush(self._due, of)
        self._plan()
        return begun, told

    def _go_on(self) -> None:
        passed, self._at = self._env.now - self._at, self._env.now
        if self._telling:
            self._steps += passed / self._fleet.step(self._telling)
            self._outcome.busy += passed * min(self._telling, self._fleet.replicas)

    def _plan(self) -> None:
        """Come back when the next story is so far, if no other begins before."""
        self._planned += 1
        if self._due:
            left = (self._due[0][0] - self._steps) * self._fleet.step(self._telling)
            then = self._env.timeout(max(0.0, left), self._planned)
            then.callbacks.append(self._happen)

    def _happen(self, planned: simpy.Event) -> None:
        if planned.value == self._planned:
            self._go_on()
            _, _, event, ends = heapq.heappop(self._due)
            self._telling -= ends
            event.succeed()
            self._plan()


class _Edits:
    """Whose edit goes out next, within the limits of all bots together."""

    def __init__(self, env: simpy.Environment, bots: int, outcome: Outcome) -> None:
        self._env = env
        self._outcome = outcome
        self._rate = Rate(bots * PER_SECOND)
        self._places = Turns(bots * AMBIENT_PER_SECOND)
        self._wanted: list[tuple[Urgency, float, int, simpy.Event]] = []
        self._forgotten: set[simpy.Event] = set()
        self._numbers = count()
        self._news = env.event()
        self._second = (0, 0)
        env.process(self._run())

    def want(self, urgency: Urgency, edited: float) -> simpy.Event:
        """Ask for an edit of a message, last edited then; gives what happens at its turn."""
        edit = self._env.event()
        heapq.heappush(self._wanted, (urgency, edited, next(self._numbers), edit))
        if not self._news.triggered:
            self._news.succeed()
        return edit

    def forget(self, edit: simpy.Event) -> None:
        """Ask for it no more."""
        self._forgotten.add(edit)

    def _run(self) -> Process:
        while True:
            if not self._wanted:
                self._news = self._env.event()
                yield self._news
            urgency, _, _, edit = self._wanted[0]
            now = self._env.now
            if edit in self._forgotten:
                self._forgotten.discard(edit)
                heapq.heappop(self._wanted)
                continue
            wait = self._rate.wait(now, urgent=urgency <= Urgency.FIRST)
            if urgency is Urgency.AMBIENT:
                wait = max(wait, self._places.wait(now))
            if wait > 0:
                # What comes meanwhile may be more urgent. Less than a microsecond may be no time.
                self._news = self._env.event()
                yield self._news | self._env.timeout(max(wait, 1e-6))
                continue
            heapq.heappop(self._wanted)
            self._rate.spend(now)
            if urgency is Urgency.AMBIENT:
                self._places.spend(now)
            self._count(now)
            edit.succeed()

    def _count(self, now: float) -> None:
        second, edits = self._second
        self._second = (int(now), edits + 1 if int(now) == second else 1)
        self._outcome.edits += 1
        self._outcome.busiest = max(self._outcome.busiest, self._second[1])
