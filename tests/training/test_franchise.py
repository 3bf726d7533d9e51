"""What belongs together."""

from __future__ import annotations

import pytest

from training.corpus.franchise import Families, franchise_name


@pytest.mark.parametrize(
    "title",
    [
        "Fox Fire",
        "FOX FIRE!!",
        "Fox Fire II",
        "Fox Fire 2",
        "Fox Fire 2nd Season",
        "Fox Fire: The Long Night",
        "Fox Fire Movie 3: Ashes",
        "Fox Fire (TV)",
        "Fox Fire OVA",
        "Fox Fire - Homecoming",
        "Fox Fire Final Season Part 2",
        "Gekijouban Fox Fire",
    ],
)
def test_sequels_reduce_to_one_name(title: str) -> None:
    assert franchise_name(title) == "fox fire"


@pytest.mark.parametrize("title", ["91 Days", "II", "Movie", "!!!"])
def test_a_title_of_nothing_but_editions_keeps_a_name(title: str) -> None:
    assert franchise_name(title)


def related(first: tuple[str, str], second: tuple[str, str]) -> bool:
    families = Families([first[0], second[0]], [first[1], second[1]])
    return families.of(0) == families.of(1)


def test_strangers_are_apart() -> None:
    assert not related(
        ("Fox Fire", "A fox lights the lanterns of a sleeping town."),
        ("Snow Bell", "Nobody rings the bell that hangs under the ice."),
    )


def test_a_longer_title_joins_the_shorter() -> None:
    assert related(("Fox Fire Zero", "Long before the lanterns."), ("Fox Fire", "A fox at night."))


def test_works_that_share_a_long_run_of_words_are_joined() -> None:
    shared = "the lighthouse keeper counts every ship that never came home"
    assert related(
        ("Kagaribi", f"Each autumn {shared}, and then sleeps."),
        ("The Signal Fire", f"Once more {shared.title()}."),
    )


def test_works_that_name_the_same_people_are_joined() -> None:
    assert related(
        ("Kitsunebi", "In spring young Tamaki and her rival Osamu reach the port of Minamo."),
        ("Fox Fire", "Far from Minamo the swordsman Osamu looks for Tamaki, his only friend."),
    )
    assert not related(
        ("Kitsunebi", "In spring young Tamaki and her rival Osamu reach the port."),
        ("Fox Fire", "Far away the swordsman Osamu looks for Tamaki, his only friend."),
    )
