"""A part that goes round in circles is known as such, however it comes."""

from __future__ import annotations

import pytest

from bot.worker.repetition import ENOUGH, WORDS_TOGETHER, Repetition

TALE = " ".join(f"word{n}" for n in range(30))
OTHER = TALE.replace("word", "other")


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
@pytest.mark.parametrize(
    ("earlier", "part", "circles"),
    [
        (TALE, TALE, True),
        (TALE, TALE.upper().replace(" ", ",\n\n "), True),
        (TALE, OTHER, False),
        ("", "he went home and " * 20, True),
        ("", "森の中で彼女は" * 9, True),
        # Too little to be judged, until the last word that makes it enough.
        (TALE, " ".join(TALE.split()[: ENOUGH + WORDS_TOGETHER - 2]), False),
        (TALE, " ".join(TALE.split()[: ENOUGH + WORDS_TOGETHER - 1]), True),
        # A phrase may come again, a sentence of five not.
        (TALE, f"word1 word2 word3 word4 word5 {OTHER}", False),
        (TALE, f"{' '.join(TALE.split()[:9])} {OTHER}", True),
    ],
)
def test_pieces_of_any_size_are_judged_alike(
    earlier: str, part: str, circles: bool, size: int
) -> None:
    repetition = Repetition(earlier)
    for start in range(0, len(part), size):
        repetition.feed(part[start : start + size])
    assert repetition.end() is circles


def test_a_part_is_stopped_while_it_is_told() -> None:
    repetition = Repetition(TALE)
    assert any(repetition.feed(f"{word} ") for word in TALE.split())


def test_a_part_may_begin_as_the_one_before_it_ended() -> None:
    repetition = Repetition(TALE)
    assert not any(repetition.feed(f"{word} ") for word in [*TALE.split()[:9], *OTHER.split()])


def test_a_long_part_is_read_once() -> None:
    repetition = Repetition("")
    for number in range(20_000):
        repetition.feed(f"word{number} ")
    assert not repetition.end()
