"""How long members wait over the week, drawn for each of the simulated sizes."""

from __future__ import annotations

import math
from itertools import cycle
from typing import TYPE_CHECKING

from bot.charts.canvas import COLOURS, FAINT, MARGIN, PANEL, WIDTH, Canvas
from bot.charts.fonts import Letters
from bot.simulate.outcome import BINS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.simulate.outcome import Outcome

TITLE, SMALL = Letters(40), Letters(30)
HEADING, COLUMNS, GAP = 76, 180, 84
"""Pixels of a part's heading, of its columns, and of what is left below them."""
LINES = {0.1: "0.1 s", 1.0: "1 s", 10.0: "10 s", 60.0: "1 min", 600.0: "10 min", 3600.0: "1 h"}
LEFT, RIGHT = MARGIN + 130, WIDTH - MARGIN
SAID = "95 of 100 members read their first words within"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def picture(outcomes: Mapping[str, Outcome]) -> bytes:
    """Draw them, one below the other, on one scale, as PNG.

    A column is a quarter of an hour: what 95 of 100 members waited at most for first words.
    """
    parts = len(outcomes)
    canvas = Canvas(2 * MARGIN + HEADING + parts * (HEADING + COLUMNS + GAP))
    longest = max(
        10.0, *(_waits(outcome, at) for outcome in outcomes.values() for at in range(BINS))
    )
    canvas.text((MARGIN, MARGIN + SMALL.size), SMALL, SAID, FAINT)
    top = float(MARGIN + HEADING)
    for (name, outcome), colour in zip(outcomes.items(), cycle(COLOURS), strict=False):
        floor = top + HEADING + COLUMNS
        canvas.text((MARGIN, top + TITLE.size), TITLE, name)
        for seconds, said in LINES.items():
            if seconds <= longest:
                at = floor - COLUMNS * _height(seconds, longest)
                canvas.line((LEFT, at), (RIGHT, at), PANEL, 2)
                canvas.text((LEFT - 14, at + SMALL.size / 3), SMALL, said, FAINT, "r")
        wide = (RIGHT - LEFT) / BINS
        for place in range(BINS):
            if (waited := _waits(outcome, place)) > 0:
                left = LEFT + place * wide
                high = max(3.0, COLUMNS * _height(waited, longest))
                canvas.box((left, floor - high, left + wide + 1, floor), colour, 0)
        for day, said in enumerate(DAYS):
            left = LEFT + (RIGHT - LEFT) * day / len(DAYS)
            canvas.line((left, floor), (left, floor + 10), FAINT, 2)
            canvas.text((left + 8, floor + 8 + SMALL.size), SMALL, said, FAINT)
        top += HEADING + COLUMNS + GAP
    return canvas.png()


def _waits(outcome: Outcome, place: int) -> float:
    waits = outcome.over_time.get(place)
    return waits.percentile(95) if waits is not None else 0.0


def _height(seconds: float, longest: float) -> float:
    """The share of a column's room: logarithmic, from a twentieth of a second on."""
    shortest = 0.05
    return max(0.0, math.log(seconds / shortest) / math.log(longest / shortest))
