"""What breaks next: each thing that grows with servers, and what one of it carries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.messages.pacing import PER_SECOND
from bot.simulate.assumptions import GPU, MEAN_TOKENS, TWO_CORES
from bot.simulate.by_second import KEPT_FOR_URGENT

if TYPE_CHECKING:
    from bot.simulate.assumptions import Replica, Village

EDITS = 5.0
"""Of a story that nobody hurries: first words, three times more, the end."""
FULL = 0.7
"""The share of what something carries that is used in the evening: a queue that is full is long."""
ACTS = 4.0
"""Interactions that a story brings with it: `/story`, stars, buttons under it."""
ACKNOWLEDGED = 50.0
"""Interactions a second that one bot acknowledges, the 99th of a hundred within 0.4 s."""
WORK = 0.11
"""Seconds of a processor that one bot takes for a story and its edits (`bench --arriving 120`)."""
ENQUEUED = 216.0
"""Stories a second that PostgreSQL takes, gives to a teller and ends, on two cores."""
A_SHARD, IDENTIFIED_EVERY, AT_ONCE = 2_500, 5.0, 16
"""Servers of one gateway connection, seconds between two that open, and how many may do so
together for the largest bots; of the others it is one."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Something that a village needs."""

    what: str
    each: float
    """What one of it carries a second."""
    evening: float
    """What the evening asks for a second."""
    viral: float

    def needed(self, of: float) -> int:
        """How many of it."""
        return max(1, math.ceil(of / self.each))


def stories_a_second(replica: Replica) -> float:
    """That a generator tells in the long run, without being full."""
    return FULL * replica.tokens_a_second(min(replica.slots, 32)) / MEAN_TOKENS


def bounds(village: Village) -> list[Bound]:
    """Everything of which one may be too little."""
    evening, viral = village.evening_rate, village.viral_rate
    smooth = PER_SECOND * (1 - KEPT_FOR_URGENT)
    return [
        Bound("bots, for all their edits", smooth / EDITS, evening, viral),
        Bound("bots, for their own work", FULL / WORK, evening, viral),
        Bound("bots, for what is typed and pressed", ACKNOWLEDGED / ACTS, evening, viral),
        Bound("PostgreSQL on two cores", ENQUEUED, evening, viral),
        Bound("generators on two cores", stories_a_second(TWO_CORES), evening, viral),
        Bound("generators on a GPU", stories_a_second(GPU), evening, viral),
    ]


def given_up() -> list[tuple[str, float]]:
    """What one bot gives up, in this order, and from how many stories a second on.

    Its 40 edits a second are all that Discord's 50 requests a second leave, where they count.
    """
    smooth = PER_SECOND * (1 - KEPT_FOR_URGENT)
    return [
        ("nothing: words come every 1.25 s", 0.0),
        ("words come in larger pieces", smooth / EDITS),
        ("only first words and the end", smooth / 2),
        ("many stories appear whole", PER_SECOND / 2),
        ("ends come late, and later", float(PER_SECOND)),
    ]


def shards(servers: int) -> tuple[int, float, float]:
    """Gateway connections, and seconds until all are open, one and sixteen at a time."""
    number = math.ceil(servers / A_SHARD)
    return (
        number,
        (number - 1) * IDENTIFIED_EVERY,
        (math.ceil(number / AT_ONCE) - 1) * IDENTIFIED_EVERY,
    )
