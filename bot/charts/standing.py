"""What `/ranking` shows: how strong models are in blind duels, and how their stories are liked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.charts.canvas import COLOURS, FAINT, MARGIN, PANEL, WIDTH, Canvas
from bot.charts.fonts import Letters
from bot.locales import say, say_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.charts.strengths import Strength
    from bot.database.figures import Likes

SHOWN = 10
"""Models in a picture; of more, the first."""
TITLE, NAME, SMALL = Letters(44), Letters(36), Letters(30)
HEADING, ROW = 130, 118
"""Pixels that a heading with its line below takes, and a model."""
NAMED = 560
"""Pixels of a model's name; what follows is its figure."""
LEFT, RIGHT = MARGIN, WIDTH - MARGIN
LOWEST_SPAN = 200.0
"""Points that the axis spans at least: a small lead must not look like a large one."""


def standing(strengths: Sequence[Strength], likes: Sequence[Likes]) -> bytes:
    """Draw both, one below the other, as PNG; there is at least one of them."""
    strengths, likes = strengths[:SHOWN], likes[:SHOWN]
    parts = [part for part in (strengths, likes) if part]
    rows = sum(map(len, parts))
    canvas = Canvas(2 * MARGIN + len(parts) * HEADING + rows * ROW + (len(parts) - 1) * MARGIN)
    # A model has one colour in both parts, whichever is its place there.
    names = sorted({one.model for one in strengths} | {one.model for one in likes})
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}
    top = float(MARGIN)
    if strengths:
        top = _heading(canvas, top, say("ranking.duels"), say("ranking.duels_how"))
        low, high = _axis(strengths)
        for one in strengths:
            said = say_number(one.points)
            _row(canvas, top, one.model, said, say("ranking.noise") if one.noise else "")
            at = [
                LEFT + (RIGHT - LEFT) * (x - low) / (high - low)
                for x in (one.low, one.points, one.high)
            ]
            line = top + 84
            canvas.box((LEFT, line - 4, RIGHT, line + 4), PANEL, 4)
            canvas.box((at[0], line - 8, at[2], line + 8), colours[one.model], 8)
            canvas.dot((at[1], line), 20, "#ffffff")
            canvas.dot((at[1], line), 15, colours[one.model])
            top += ROW
        top += MARGIN
    if likes:
        top = _heading(canvas, top, say("ranking.likes"), say("ranking.likes_how"))
        for liked in likes:
            said = say("ranking.liked", mean=liked.mean, count=liked.votes)
            _row(canvas, top, liked.model, said, "")
            line = top + 84
            canvas.box((LEFT, line - 14, RIGHT, line + 14), PANEL, 14)
            end = LEFT + (RIGHT - LEFT) * liked.mean / 5
            canvas.box((LEFT, line - 14, end, line + 14), colours[liked.model], 14)
            top += ROW
    return canvas.png()


def _heading(canvas: Canvas, top: float, title: str, how: str) -> float:
    canvas.text((LEFT, top + TITLE.size), TITLE, title)
    canvas.text((LEFT, top + TITLE.size + 44), SMALL, how, FAINT)
    return top + HEADING


def _row(canvas: Canvas, top: float, name: str, figure: str, note: str) -> None:
    (shown,) = NAME.lines(name, NAMED - (SMALL.width(note) if note else 0), 1)
    canvas.text((LEFT, top + 48), NAME, shown)
    canvas.text((LEFT + NAME.width(shown) + 18, top + 48), SMALL, note, FAINT)
    canvas.text((RIGHT, top + 48), NAME, figure, anchor="r")


def _axis(strengths: Sequence[Strength]) -> tuple[float, float]:
    """What the axis spans: all intervals, and not too little."""
    low, high = min(one.low for one in strengths), max(one.high for one in strengths)
    more = max(0.0, LOWEST_SPAN - (high - low)) / 2
    return low - more, high + more
