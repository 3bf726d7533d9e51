"""What `/stats` shows: a server's stories by day, by hour, by model and by their stars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.charts.canvas import COLOURS, FAINT, MARGIN, PANEL, WIDTH, Canvas
from bot.charts.fonts import Letters
from bot.locales import say, say_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.database.figures import Month

TITLE, NAME, SMALL = Letters(44), Letters(34), Letters(30)
HEADING, COLUMNS, AXIS, ROW = 100, 240, 90, 66
"""Pixels of a part's heading, of its columns, of what is written under them, of a bar."""
BARS = 6
"""Models that have a bar; of more, the first."""
LABEL = 300
"""Pixels of what stands before a bar."""
LEFT, RIGHT = MARGIN, WIDTH - MARGIN


def village(month: Month) -> bytes:
    """Draw it, as PNG."""
    models = month.models[:BARS]
    bars = [(name, count) for name, count in models] or [(say("stats.nobody"), 0)]
    stars = [(say("stats.star", stars=star), month.stars[star - 1]) for star in range(5, 0, -1)]
    part = HEADING + COLUMNS + AXIS
    canvas = Canvas(2 * MARGIN + 2 * part + 2 * HEADING + (len(bars) + len(stars)) * ROW + MARGIN)
    top = float(MARGIN)
    days = {0: say("stats.ago", days=len(month.days) - 1), len(month.days) - 1: say("stats.today")}
    top = _columns(canvas, top, say("stats.days"), month.days, days, COLOURS[0])
    hours = {hour: f"{hour:02}" for hour in (0, 6, 12, 18, 23)}
    top = _columns(canvas, top, say("stats.hours"), month.hours, hours, COLOURS[1])
    top = _bars(canvas, top, say("stats.models"), bars, COLOURS[2])
    _bars(canvas, top, say("stats.stars"), stars, COLOURS[3])
    return canvas.png()


def _columns(
    canvas: Canvas,
    top: float,
    title: str,
    counts: Sequence[int],
    labels: dict[int, str],
    colour: str,
) -> float:
    """A column for each count, with some of them named below; gives where it ends."""
    most = max(*counts, 1)
    canvas.text((LEFT, top + TITLE.size), TITLE, title)
    canvas.text((RIGHT, top + TITLE.size), SMALL, say("stats.most", count=most), FAINT, "r")
    floor = top + HEADING + COLUMNS - 10
    wide = (RIGHT - LEFT) / len(counts)
    canvas.box((LEFT, floor + 2, RIGHT, floor + 6), PANEL, 2)
    for place, count in enumerate(counts):
        left = LEFT + place * wide
        high = (COLUMNS - 30) * count / most
        canvas.box((left + 3, floor - max(high, 4 if count else 0), left + wide - 3, floor), colour)
        if label := labels.get(place):
            anchor = "l" if place == 0 else "r" if place == len(counts) - 1 else "m"
            at = {"l": left, "m": left + wide / 2, "r": left + wide}[anchor]
            canvas.text((at, floor + 44), SMALL, label, FAINT, anchor)
    return top + HEADING + COLUMNS + AXIS


def _bars(
    canvas: Canvas, top: float, title: str, counts: Sequence[tuple[str, int]], colour: str
) -> float:
    """A bar for each count, named before it; gives where it ends."""
    most = max(*(count for _, count in counts), 1) if counts else 1
    canvas.text((LEFT, top + TITLE.size), TITLE, title)
    top += HEADING - 14
    room = RIGHT - LEFT - LABEL - 110
    for name, count in counts:
        (shown,) = NAME.lines(name, LABEL - 16, 1)
        canvas.text((LEFT, top + 40), NAME, shown)
        left = LEFT + LABEL
        canvas.box((left, top + 12, left + room, top + 48), PANEL)
        canvas.box((left, top + 12, left + room * count / most, top + 48), colour)
        canvas.text((RIGHT, top + 40), NAME, say_number(count), anchor="r")
        top += ROW
    return top + 14 + MARGIN / 2
