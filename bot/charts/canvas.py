"""What every picture is drawn on, and in which colours.

Each has a background of its own, so it is read alike in Discord's light and dark mode. The colours
are those of Okabe and Ito, told apart by the colour-blind as well.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from bot.charts.fonts import Letters

WIDTH = 1000
"""Pixels; a phone shows it about 350 wide, so no letter is smaller than 30."""
MARGIN = 48
BACKGROUND, PANEL = "#1b1d2a", "#262a3b"
TEXT, FAINT = "#f4f1e8", "#b9bccb"
COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#F0E442", "#CC79A7", "#D55E00", "#0072B2", "#FFFFFF")
SCALE = 2
"""Shapes are drawn this much larger and made small again: so their edges are smooth."""


class Canvas:
    """A picture that is being drawn; everything is in pixels of the finished one."""

    def __init__(self, height: int) -> None:
        self.height = height
        self._image = Image.new("RGB", (WIDTH, height), BACKGROUND)
        self._on = ImageDraw.Draw(self._image)

    def text(
        self,
        at: tuple[float, float],
        letters: Letters,
        said: str,
        fill: str = TEXT,
        anchor: str = "l",
    ) -> None:
        """Write a line on its base line."""
        letters.draw(self._on, at, said, fill, anchor)

    def box(self, place: tuple[float, float, float, float], fill: str, radius: float = 6) -> None:
        """A box with round corners: left, top, right, bottom."""
        left, top, right, bottom = place
        if right - left < 1 or bottom - top < 1:
            return
        radius = min(radius, (right - left) / 2, (bottom - top) / 2)
        self._on.rounded_rectangle((left, top, right - 1, bottom - 1), radius, fill=fill)

    def line(
        self, start: tuple[float, float], end: tuple[float, float], fill: str, width: int
    ) -> None:
        """A straight line."""
        self._on.line((*start, *end), fill=fill, width=width)

    def dot(self, at: tuple[float, float], radius: float, fill: str) -> None:
        """A round dot, smooth at its edge."""
        size = round(2 * radius)
        mask = Image.new("L", (size * SCALE * 2, size * SCALE * 2), 0)
        ImageDraw.Draw(mask).ellipse((0, 0, mask.width - 1, mask.height - 1), fill=255)
        mask = mask.resize((size, size), Image.Resampling.LANCZOS)
        self._image.paste(fill, (round(at[0] - radius), round(at[1] - radius)), mask)

    def png(self) -> bytes:
        """The finished picture."""
        data = io.BytesIO()
        self._image.quantize(128, dither=Image.Dither.NONE).save(data, "PNG")
        return data.getvalue()
