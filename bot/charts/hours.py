"""What `/host status` shows: how the bot was over the last hours, minute by minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.charts.canvas import COLOURS, FAINT, MARGIN, PANEL, WIDTH, Canvas
from bot.charts.fonts import Letters
from bot.locales import say

if TYPE_CHECKING:
    from bot.charts.course import Courses

TITLE, SMALL = Letters(44), Letters(34)
HEADING, COLUMNS, GAP = 84, 170, 56
"""Pixels of a part's heading, of its columns, and of what is left below them."""
FEWEST = 30
"""Minutes that the axis spans at least: what began just now must not look like hours."""
LEFT, RIGHT = MARGIN, WIDTH - MARGIN


def hours(courses: Courses) -> bytes:
    """Draw them, one below the other, as PNG; a minute of which nothing is known is left out."""
    canvas = Canvas(2 * MARGIN + len(courses) * (HEADING + COLUMNS + GAP))
    minutes = max(FEWEST, *(len(values) for values in courses.values()))
    wide = (RIGHT - LEFT) / minutes
    top = float(MARGIN)
    for (name, values), colour in zip(courses.items(), COLOURS, strict=False):
        known = [value for value in values if value is not None]
        most = max(known, default=0.0)
        canvas.text((LEFT, top + TITLE.size), TITLE, say(f"host.course.{name}"))
        said = say("host.course.most", most=most) if known else say("host.course.unknown")
        canvas.text((RIGHT, top + TITLE.size), SMALL, said, FAINT, "r")
        floor = top + HEADING + COLUMNS
        canvas.box((LEFT, floor + 2, RIGHT, floor + 6), PANEL, 2)
        for place, value in enumerate(values):
            if not value:
                continue
            left = RIGHT - (len(values) - place) * wide
            high = max(4.0, COLUMNS * value / most)
            # Neighbours touch, so that hours look like one shape.
            canvas.box((left, floor - high, left + wide + 1, floor), colour, 0)
        top += HEADING + COLUMNS + GAP
    canvas.text((LEFT, top), SMALL, say("host.course.ago", minutes=minutes), FAINT)
    canvas.text((RIGHT, top), SMALL, say("host.course.now"), FAINT, "r")
    return canvas.png()
