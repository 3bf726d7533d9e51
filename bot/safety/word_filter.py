"""What is not fit to be asked for or shown: a tree of words, and the house's own lists of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from bot.safety.matcher import Reader, Tree
from bot.safety.patterns import Category, expanded, patterns_of

_LISTS = Path(__file__).parent / "lists"
TOLD = tuple(category for category in Category if category not in {"self_harm", "own"})
"""What no story may hold; of their own death members may write, and get another answer."""


class WordFilter:
    """Immutable; made once, asked by everybody."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def reader(self) -> Reader:
        """Read a text that grows."""
        return Reader(self._tree)

    def finds(self, text: str) -> Category | None:
        """Why a text is not fit, by the first thing in it that is not; None: it is."""
        reader = self.reader()
        reader.feed(text)
        reader.end()
        return reader.hits[0].category if reader.hits else None


@cache
def house_filter() -> WordFilter:
    """What nobody may begin with, and no story holds. Takes some 0.3 s when first asked for."""
    return _of(*TOLD)


@cache
def self_harm_filter() -> WordFilter:
    """What somebody may write who thinks of their own death."""
    return _of(Category.SELF_HARM)


def entries(name: str) -> list[str]:
    """The lines of one of the house's lists, without comments."""
    lines = (_LISTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _of(*categories: Category) -> WordFilter:
    patterns = (
        pattern
        for category in categories
        for entry in entries(category)
        for spelling in expanded(entry)
        for pattern in patterns_of(spelling, category)
    )
    return WordFilter(Tree(patterns, fit=entries("fit")))
