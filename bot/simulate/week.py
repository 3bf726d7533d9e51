"""A week of so many servers on some fleet, and the tables that say how it went."""

from __future__ import annotations

import math
import random
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.simulate import by_second, by_story
from bot.simulate.assumptions import GPU, SMALL_MACHINE, WEEK, Fleet
from bot.simulate.bounds import bounds, given_up, shards, stories_a_second

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.simulate.assumptions import Prices, Village
    from bot.simulate.outcome import Outcome

ONE_BY_ONE = 200_000
"""Stories up to which each is simulated by itself."""
ONE_INSTEAD_OF = 20
"""Bots, up to which one alone is tried as well: more would leave it what takes months to show."""
KEPT = 2_100
"""Bytes that a story takes in PostgreSQL, with its row, words to be searched and indexes."""


@dataclass(frozen=True)
class Week:
    """How one went."""

    village: Village
    fleet: Fleet
    outcome: Outcome

    @property
    def name(self) -> str:
        """The village and the fleet, in a few words."""
        servers, bots = self.village.servers, self.fleet.bots
        return f"{servers:,} server{'s'[: servers > 1]}, {bots} bot{'s'[: bots > 1]}"

    def figures(self, prices: Prices) -> dict[str, object]:
        """Everything, for a program; seconds, and parts of all stories."""
        outcome, shown = self.outcome, max(self.outcome.told, 1)
        return {
            "servers": self.village.servers,
            "bots": self.fleet.bots,
            "generators": self.fleet.replicas,
            "on": self.fleet.replica.name,
            "price_a_week": round(prices.of(self.fleet) * WEEK / 3600, 2),
            "evening_stories_a_second": round(self.village.evening_rate, 4),
            "viral_stories_a_second": round(self.village.viral_rate, 4),
            "asked": round(outcome.asked),
            "refused": round(outcome.refused),
            "told": round(outcome.told),
            **{f"words_p{p}": _of(outcome.words.percentile(p)) for p in (50, 95, 99)},
            "words_longest": _of(outcome.words.longest),
            "queue_p99": _of(outcome.queue.percentile(99)),
            "queue_longest": _of(outcome.queue.longest),
            "end_late_p99": _of(outcome.late.percentile(99)),
            "end_late_longest": _of(outcome.late.longest),
            "pause_p50": _of(outcome.pauses.percentile(50)),
            "pause_p99": _of(outcome.pauses.percentile(99)),
            "appeared_whole": round(outcome.whole / shown, 4),
            "edits_a_story": round(outcome.edits / shown, 2),
            "edits_busiest_second": round(outcome.busiest),
            "generators_busy": round(outcome.busy / (WEEK * self.fleet.replicas), 4),
        }


def fleets(village: Village) -> list[Fleet]:
    """What is tried: the least that tells; where edits do not go round, also more bots."""
    edits = bounds(village)[0]
    if village.evening_rate < stories_a_second(SMALL_MACHINE):
        return [Fleet(SMALL_MACHINE)]
    evening = edits.needed(edits.evening)
    found = [_on_gpus(village.evening_rate, 1)] if evening <= ONE_INSTEAD_OF else []
    if evening > 1:
        found.append(_on_gpus(village.evening_rate, evening))
        found.append(_on_gpus(village.viral_rate, edits.needed(edits.viral)))
    return found


def _on_gpus(rate: float, bots: int) -> Fleet:
    replicas = math.ceil(rate / stories_a_second(GPU))
    return Fleet(GPU, replicas=replicas, bots=bots, tellers=GPU.slots * replicas)


def simulate(village: Village, fleet: Fleet, seed: int) -> Week:
    """Let a week pass, by the finest way that does not take long."""
    if village.a_week > ONE_BY_ONE:
        return Week(village, fleet, by_second.simulate(fleet, village, 0, WEEK, seed))
    draw = random.Random(seed)
    asked = ((at, by_story.length(draw)) for at in by_story.moments(village, WEEK, draw))
    return Week(village, fleet, by_story.simulate(fleet, asked))


def print_weeks(weeks: list[Week], prices: Prices) -> None:
    """Print what went how, what is given up first, and what breaks next."""
    print("A week, with a viral hour on Saturday; seconds, unless something else is said")
    rows: list[tuple[str, Callable[[Week], str]]] = [
        ("bots", lambda week: f"{week.fleet.bots}"),
        ("generators", lambda week: f"{week.fleet.replicas}"),
        ("each on", lambda week: week.fleet.replica.name),
        ("a week costs", lambda week: f"${prices.of(week.fleet) * WEEK / 3600:,.0f}"),
        ("stories asked for", lambda week: f"{week.outcome.asked:,.0f}"),
        ("a second, in the evening", lambda week: _short(week.village.evening_rate)),
        ("a second, in the viral hour", lambda week: _short(week.village.viral_rate)),
        ("refused in a sentence", lambda week: _part(week.outcome.refused, week.outcome.asked)),
        ("told and shown", lambda week: f"{week.outcome.told:,.0f}"),
        ("first words, p50", lambda week: _short(week.outcome.words.percentile(50))),
        ("first words, p95", lambda week: _short(week.outcome.words.percentile(95))),
        ("first words, p99", lambda week: _short(week.outcome.words.percentile(99))),
        ("first words, longest", lambda week: _short(week.outcome.words.longest)),
        ("of it in the queue, longest", lambda week: _short(week.outcome.queue.longest)),
        ("end later than due, longest", lambda week: _short(week.outcome.late.longest)),
        ("between two edits, p50", lambda week: _short(week.outcome.pauses.percentile(50))),
        ("between two edits, p99", lambda week: _short(week.outcome.pauses.percentile(99))),
        ("appeared whole", lambda week: _part(week.outcome.whole, week.outcome.told)),
        ("edits a story", lambda week: _short(week.outcome.edits / max(1, week.outcome.told))),
        ("edits in the busiest second", lambda week: f"{week.outcome.busiest:,.0f}"),
        (
            "generators busy",
            lambda week: _part(week.outcome.busy, WEEK * week.fleet.replicas),
        ),
    ]
    _table("servers", [f"{week.village.servers:,}" for week in weeks])
    for said, of in rows:
        _table(said, [of(week) for week in weeks])
    villages = list({week.village.servers: week.village for week in weeks}.values())
    largest = max(villages, key=lambda village: village.servers)
    each = largest.evening_rate / largest.servers, largest.viral_rate / largest.servers
    print("\nWhat one bot gives up, in this order")
    _table("", ["stories a second", "servers, evening", "servers, viral"], 18)
    for said, rate in given_up():
        _table(said, [_short(rate), *(f"{rate / one:,.0f}" for one in each)], 18)
    print("\nWhat is needed, in the evening and in the viral hour")
    _table("servers", [f"{village.servers:,}" for village in villages], 18)
    for bound in zip(*map(bounds, villages), strict=True):
        needs = [f"{one.needed(one.evening):,} · {one.needed(one.viral):,}" for one in bound]
        _table(bound[0].what, needs, 18)
    _table("gateway connections", [f"{shards(one.servers)[0]:,}" for one in villages], 18)
    opens = [f"{shards(one.servers)[1]:,.0f} · {shards(one.servers)[2]:,.0f}" for one in villages]
    _table("open after, 1 · 16 at a time", opens, 18)
    stories = [one.servers * one.stories_a_day for one in villages]
    _table("rows of stories a day", [f"{number:,.0f}" for number in stories], 18)
    _table("GB a year", [_short(365 * number * KEPT / 1e9) for number in stories], 18)
    sys.stdout.flush()


def _table(said: str, values: list[str], wide: int = 25) -> None:
    print(f"{said:36}" + "".join(f"{value:>{wide}}" for value in values))


def _short(value: float) -> str:
    """A number with as many digits as matter."""
    if math.isnan(value):
        return "-"
    if value == 0 or value >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.{max(0, 1 - math.floor(math.log10(value)))}f}"


def _part(some: float, of: float) -> str:
    return f"{some / of:.1%}" if of else "-"


def _of(seconds: float) -> float | None:
    return None if math.isnan(seconds) else round(seconds, 2)
