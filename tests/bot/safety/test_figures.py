"""What is missed and what is wrongly taken, on texts of ours; `figures` prints each of them."""

from __future__ import annotations

import pytest

from bot.openings import OPENINGS
from tests.bot.safety.figures import IN_DANGER, OURS, both, missed, taken, texts

MOST_MISSED = 0.02
MOST_TAKEN = 0.01
"""Shares of all texts."""


@pytest.mark.parametrize("kind", ["unfit", "disguised"])
def test_of_what_is_not_fit_hardly_anything_passes(kind: str) -> None:
    assert len(texts(kind)) > 100
    assert len(missed(OURS, kind)) <= MOST_MISSED * len(texts(kind))


def test_of_what_is_fit_hardly_anything_is_taken_not_even_by_both() -> None:
    assert len(texts("fit")) > 200
    assert len(taken(both, texts("fit"))) <= MOST_TAKEN * len(texts("fit"))


def test_who_may_be_in_danger_is_understood_and_tales_of_death_are_told() -> None:
    assert len(missed(IN_DANGER, "in_danger")) <= MOST_MISSED * len(texts("in_danger"))
    tales = texts("tales_of_death") + texts("fit")
    assert len(taken(IN_DANGER, tales)) <= MOST_TAKEN * len(tales)
    assert not taken(both, texts("tales_of_death"))


def test_the_houses_openings_are_fit() -> None:
    assert not taken(both, OPENINGS)
    assert not taken(IN_DANGER, OPENINGS)
