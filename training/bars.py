"""What is under way, on stderr, for whoever waits."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")


def each(items: Iterable[T], what: str, unit: str, *, visible: bool = True) -> Iterator[T]:
    """The items, and a bar that counts them and goes when they are through.

    Args:
        items: of known number, or the bar only counts.
        what: is done with them.
        unit: what one is called.
        visible: False for none.
    """
    yield from tqdm(items, what, unit=f" {unit}", leave=False, mininterval=0.5, disable=not visible)


@contextmanager
def counting(total: int, what: str, unit: str) -> Iterator[tqdm[Any]]:
    """A bar to be updated by hand."""
    with tqdm(total=total, desc=what, unit=f" {unit}", leave=False, mininterval=0.5) as bar:
        yield bar


@contextmanager
def under_way(what: str, *, visible: bool = True) -> Iterator[None]:
    """A line while something runs that cannot say how far it is."""
    with tqdm(desc=what, bar_format="{desc} …", leave=False, disable=not visible):
        yield
