"""Letters for pictures: Pillow's own font, and what the system has for other scripts.

No font is shipped: those with Han, kana and hangul are larger than the bot. Where the system has
none, a letter is left out rather than drawn as a box.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import ImageFont

from bot.locales import ENGLISH, say, speaking, spoken
from bot.safety.graphemes import GRAPHEME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL import ImageDraw

FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("/System/Library/Fonts"),
    Path("/Library/Fonts"),
    Path.home() / ".local/share/fonts",
)
NAMES = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKjp-Regular.otf",
    "NotoSansJP-Regular.otf",
    "NotoSansJP[wght].ttf",
    "ipagp.ttf",
    "DroidSansFallbackFull.ttf",
    "wqy-microhei.ttc",
    "ヒラギノ角ゴシック W3.ttc",
    "PingFang.ttc",
    "Arial Unicode.ttf",
)
"""Free fonts as distributions name them, and those of macOS; the first with a letter draws it."""
PROBED = 24
"""Size at which it is seen whether a font has a letter."""
NO_LETTER = "\U0010fffe"
"""A code point that is no letter in any font: it shows what a font draws for what it lacks."""


@cache
def _files() -> tuple[Path, ...]:
    """Those of the fonts that the system has, best first."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for file in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if file.name in NAMES:
                found.setdefault(file.name, file)
    return tuple(found[name] for name in NAMES if name in found)


@cache
def _fonts(size: int) -> tuple[ImageFont.FreeTypeFont, ...]:
    own = ImageFont.load_default(size)
    assert isinstance(own, ImageFont.FreeTypeFont)  # noqa: S101  # our Pillow has FreeType
    return (own, *(ImageFont.truetype(file, size) for file in _files()))


@lru_cache(maxsize=20_000)
def _font_of(letter: str) -> int | None:
    """Which of the fonts has a letter; None: none has."""
    if letter.isspace():
        return 0
    for number, font in enumerate(_fonts(PROBED)):
        drawn, lacking = font.getmask(letter), font.getmask(NO_LETTER)
        if drawn.size != lacking.size or bytes(drawn) != bytes(lacking):
            return number
    return None


def drawable(text: str) -> str:
    """The text without the letters that no font here has."""
    graphemes = GRAPHEME.findall(text)
    return "".join(one for one in graphemes if all(_font_of(sign) is not None for sign in one))


@contextmanager
def legibly() -> Iterator[None]:
    """Say everything within in English where no font here has the spoken language's letters."""
    said = say("stats.days")
    with speaking(spoken() if drawable(said) == said else ENGLISH):
        yield


@dataclass(frozen=True, slots=True)
class Letters:
    """Letters of one size, in pixels; of what no font has, nothing is drawn."""

    size: int

    def width(self, text: str) -> float:
        """How wide a line is."""
        return sum(font.getlength(piece) for font, piece in self._runs(text))

    def draw(
        self,
        on: ImageDraw.ImageDraw,
        at: tuple[float, float],
        text: str,
        fill: str,
        anchor: str = "l",
    ) -> None:
        """Draw a line: `at` is on its base line, at its left, middle or right end (l, m, r)."""
        x, y = at
        if anchor != "l":
            x -= self.width(text) / (2 if anchor == "m" else 1)
        for font, piece in self._runs(text):
            on.text((x, y), piece, font=font, fill=fill, anchor="ls")
            x += font.getlength(piece)

    def lines(self, text: str, width: float, most: int) -> Sequence[str]:
        """The text in at most so many lines of at most so many pixels; the last may end in …."""
        lines: list[str] = []
        for paragraph in text.split("\n"):
            line = ""
            for word in _words(paragraph.strip()):
                if line and self.width((line + word).rstrip()) > width:
                    lines.append(line.rstrip())
                    line = word.lstrip()
                else:
                    line += word
                if len(lines) > most:
                    break
            lines.append(line.rstrip())
            if len(lines) > most:
                break
        if len(lines) <= most:
            return lines
        last = lines[most - 1]
        while last and self.width(f"{last} …") > width:
            last = last[:-1]
        return [*lines[: most - 1], f"{last.rstrip()} …"]

    def _runs(self, text: str) -> Iterator[tuple[ImageFont.FreeTypeFont, str]]:
        """Neighbours that one font draws, together: some scripts shape letters by what follows."""
        fonts = _fonts(self.size)
        run, of = "", 0
        for sign in text:
            number = _font_of(sign)
            if number is None:
                continue
            if number != of and run:
                yield fonts[of], run
                run = ""
            of, run = number, run + sign
        if run:
            yield fonts[of], run


def _words(text: str) -> Iterator[str]:
    """What a line may end between: words with their space; of unspaced scripts, letters."""
    word = ""
    for grapheme in GRAPHEME.findall(text):
        unspaced = "\u2e80" <= grapheme[0] <= "\uffdc" or grapheme[0] >= "\U00020000"
        # What closes a sentence stays with it.
        if word and (word[-1].isspace() or (unspaced and grapheme not in CLOSING)):
            yield word
            word = ""
        word += grapheme
        if len(word) > LONGEST:
            yield word
            word = ""
    if word:
        yield word


CLOSING = frozenset("、。，．！？」』）】〉》ー…ゝ々ぁぃぅぇぉっゃゅょァィゥェォッャュョ")  # noqa: RUF001
"""Signs that begin no line."""
LONGEST = 24
"""Graphemes of a word without a space before a line may end within it."""
