"""A story as a picture: its beginning as a title, its text, and who told it."""

from __future__ import annotations

from bot.charts.canvas import COLOURS, FAINT, MARGIN, PANEL, TEXT, WIDTH, Canvas
from bot.charts.errors import NoLettersError
from bot.charts.fonts import Letters, drawable

TITLE, BODY, FOOT = Letters(52), Letters(36), Letters(30)
TITLE_LINES, BODY_LINES = 3, 30
READABLE = 0.7
"""Of a text's letters so many must be drawable, or it is left out."""


def card(title: str, text: str, attribution: str) -> bytes:
    """Draw it, as PNG; as high as its text needs, within what a phone shows well.

    A title in a script that no font here has is left out.

    Raises:
        NoLettersError: It is the text that no font has.
    """
    text = _readable(text)
    if not text:
        raise NoLettersError
    title = _readable(title)
    room = WIDTH - 4 * MARGIN
    heading = TITLE.lines(title, room, TITLE_LINES) if title else ()
    body = BODY.lines(text, room, BODY_LINES)
    line, big = round(BODY.size * 1.5), round(TITLE.size * 1.3)
    top = 2 * MARGIN + len(heading) * big + (MARGIN // 2 if heading else 0)
    height = top + len(body) * line + 3 * MARGIN + FOOT.size
    canvas = Canvas(height)
    canvas.box((MARGIN, MARGIN, WIDTH - MARGIN, height - MARGIN), PANEL, 24)
    canvas.box((MARGIN, MARGIN + 24, MARGIN + 8, height - MARGIN - 24), COLOURS[1], 4)
    for number, said in enumerate(heading):
        canvas.text((2 * MARGIN, 2 * MARGIN + TITLE.size + number * big), TITLE, said, COLOURS[1])
    for number, said in enumerate(body):
        canvas.text((2 * MARGIN, top + BODY.size + number * line), BODY, said, TEXT)
    canvas.text((WIDTH - 2 * MARGIN, height - 2 * MARGIN), FOOT, drawable(attribution), FAINT, "r")
    return canvas.png()


def _readable(text: str) -> str:
    kept = drawable(text).strip()
    return kept if len(kept) >= READABLE * len(text.strip()) else ""
