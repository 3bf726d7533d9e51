"""How tales read that are told on and on: whether they loop, and whom they remember.

They are told as the bot tells them: from the house's openings, each part from what is recalled of
those before it, and once more where it goes round in circles. Nothing is shown, so no Discord is
needed.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from bot.bench.figures import show_progress
from bot.bench.running import BenchError
from bot.config import Settings
from bot.database.tables import Length, Story
from bot.openings import OPENINGS
from bot.safety.words import WORD
from bot.worker.completions import Completions
from bot.worker.generator_errors import GeneratorError
from bot.worker.generator_process import GeneratorStartError, own_generator
from bot.worker.recalling import NAME, recalled
from bot.worker.repetition import WORDS_TOGETHER, Repetition

if TYPE_CHECKING:
    from collections.abc import Sequence

TOGETHER = 32
LEAST_NEW = 0.9
"""So much of what a tale's first part has is new in each other: see `Part.new`."""
ABOUT_THE_SHOW = re.compile(
    r"youtube|music video|\b(?:seasons?|episodes?|anime|ovas?|bundled with|blu-?ray)\b",
    re.IGNORECASE,
)
"""What a synopsis says of its show, and a story does not."""
_MARK = r"""[.!?…。！？]["'”’»)\]」』]*"""  # noqa: RUF001  # the marks of good typography and Japanese
_FINISHED, _A_SENTENCE = re.compile(rf"{_MARK}\s*$"), re.compile(rf"{_MARK}\s")


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of a tale is like beside those before it."""

    words: int
    within: float
    """Share of its groups of four words that it said before."""
    before: float
    """The same of groups that an earlier part said."""
    new: float
    """Different groups that no earlier part said, over all of its groups."""
    remembers: bool | None
    """Whether it names anybody that an earlier part named; None where none named anybody."""


async def tell(
    model: str, tales: int, links: int, *, shown: int, url: str | None = None
) -> dict[str, object]:
    """Have tales told, print a table of their parts, and give the figures.

    Args:
        model: Who tells.
        tales: How many.
        links: Parts of each.
        shown: So many tales are printed.
        url: A generator; None: the one that the settings name, or one of our own.

    Raises:
        BenchError: They could not be told.
    """
    settings = Settings.load()
    async with AsyncExitStack() as stack:
        try:
            if (url := url or settings.generator.url or None) is None:
                starting = own_generator(start_timeout=settings.generator.start_timeout)
                url = await stack.enter_async_context(starting)
            completions = Completions(
                url, settings.stories, request_timeout=settings.generator.request_timeout
            )
            teller = _Teller(await stack.enter_async_context(completions), model, tales, links)
            told = await asyncio.gather(*map(teller.tale, range(tales)))
        except (GeneratorError, GeneratorStartError, ExceptionGroup) as error:
            raise BenchError(f"the tales are not told: {error}") from error
    for parts in told[:shown]:
        print(*parts, sep="\n", end="\n\n")
    print(f"{tales:,} tales of {links} parts by {model}; shares of groups of four words")
    figures: dict[str, object] = {"model": model, "tales": tales, "links": links}
    figures |= _print_parts([judged(parts) for parts in told])
    flat = [part for parts in told for part in parts]
    figures |= {
        "drawn_anew": teller.drawn_anew,
        "about_the_show": sum(bool(ABOUT_THE_SHOW.search(part)) for part in flat),
        "grown_words": teller.grown,
        "unfinished": teller.unfinished,
    }
    for name in ("drawn_anew", "about_the_show", "grown_words", "unfinished"):
        print(f"{name.replace('_', ' '):16}{figures[name]:6} of {len(flat):,}")
    return figures


class _Teller:
    """Tells tales, and counts what only whoever hears them can know."""

    def __init__(self, completions: Completions, model: str, tales: int, links: int) -> None:
        self._completions, self._model, self._links = completions, model, links
        self._slots = asyncio.Semaphore(TOGETHER)
        self._parts, self._all = 0, tales * links
        self.drawn_anew = self.grown = self.unfinished = 0

    async def tale(self, number: int) -> list[str]:
        """All parts of one; its beginning and its seeds hang on its number alone."""
        opening = OPENINGS[number % len(OPENINGS)]
        parts: list[str] = []
        async with self._slots:
            for link in range(self._links):
                seed = 2 * (number * self._links + link)
                earlier = " ".join(parts)
                memory = self._completions.settings.memory
                prompt = recalled(earlier, "", memory) if parts else opening
                text, by_itself = await self._part(prompt, seed)
                if parts and goes_in_circles(earlier, text):
                    self.drawn_anew += 1
                    text, by_itself = await self._part(prompt, seed + 1)
                self.grown += prompt[-1:].isalnum() and text[:1].isalnum()
                begun = bool(_A_SENTENCE.search(text)) and not _FINISHED.search(text)
                self.unfinished += begun and not by_itself
                parts.append(text.strip() if parts else opening + text)
                self._parts += 1
                show_progress(self._parts, self._all, "parts told")
        return parts

    async def _part(self, prompt: str, seed: int) -> tuple[str, bool]:
        story = Story(model=self._model, prompt="", seed=seed, length=Length.SAGA)
        text, by_itself = "", False
        async with aclosing(self._completions.tell(story, prompt)) as pieces:
            async for piece in pieces:
                text, by_itself = text + piece.text, piece.last
        return text, by_itself


def goes_in_circles(earlier: str, text: str) -> bool:
    """Whether the bot would draw the part anew."""
    repetition = Repetition(earlier)
    return repetition.feed(text) or repetition.end()


def judged(parts: Sequence[str]) -> list[Part]:
    """Each part of a tale beside those before it."""
    said: set[tuple[str, ...]] = set()
    named: set[str] = set()
    found = []
    for text in parts:
        words = [re.sub(r"\W+", "", word) for word in WORD.findall(text.casefold())]
        words = [word for word in words if word]
        starts = range(len(words) - WORDS_TOGETHER + 1)
        groups = [tuple(words[at : at + WORDS_TOGETHER]) for at in starts]
        count, names = max(1, len(groups)), set(NAME.findall(text))
        found.append(
            Part(
                words=len(words),
                within=(len(groups) - len(set(groups))) / count,
                before=sum(group in said for group in groups) / count,
                new=len(set(groups) - said) / count,
                remembers=bool(names & named) if named else None,
            )
        )
        said.update(groups)
        named |= names
    return found


def _print_parts(tales: Sequence[Sequence[Part]]) -> dict[str, object]:
    print(
        f"{'part':>4}{'words':>8}{'repeated':>10}{'told before':>13}{'new, least':>12}{'names':>8}"
    )
    for number, parts in enumerate(zip(*tales, strict=True), 1):
        names = _remembering(parts)
        print(
            f"{number:4}{fmean(part.words for part in parts):8.0f}"
            f"{fmean(part.within for part in parts):10.4f}"
            f"{fmean(part.before for part in parts):13.4f}"
            f"{min(part.new for part in parts):12.3f}"
            f"{'' if names is None else format(names, '.2f'):>8}"
        )
    later = [part for _, *parts in tales for part in parts]
    shares = [part.new / (first.new or 1) for first, *parts in tales for part in parts]
    names = _remembering(later)
    return {
        "repeated_within": round(fmean(part.within for parts in tales for part in parts), 4),
        "told_before": round(fmean(part.before for part in later), 4) if later else None,
        "least_new": round(min(shares), 3) if shares else None,
        "parts_below": sum(share < LEAST_NEW for share in shares),
        "names_kept": None if names is None else round(names, 3),
    }


def _remembering(parts: Sequence[Part]) -> float | None:
    """Share of the parts that could name somebody again which do."""
    asked = [part.remembers for part in parts if part.remembers is not None]
    return fmean(asked) if asked else None
