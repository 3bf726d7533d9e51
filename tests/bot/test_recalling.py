"""What of a tale the model reads before it tells on."""

from __future__ import annotations

import pytest

from bot.worker.recalling import recalled

FIRST = "This is the story of a fox named Hoshi. "
NAMED = "At night the fox Hoshi came to the old shrine. "
LATER = "The bell rang, and it ran. " * 9
LAST = "Then somebody closed the gate."


def test_a_short_tale_is_read_whole() -> None:
    assert recalled(FIRST + LAST, "", 400) == FIRST + LAST
    assert recalled(FIRST + LAST, "and", 400) == f"{FIRST}{LAST} and"


def test_of_a_long_one_the_beginning_the_name_and_the_end_are_read() -> None:
    tale = FIRST + NAMED + LATER + LAST
    room = FIRST + NAMED + LATER[:27] + LAST
    assert recalled(tale, "", len(room)) == room
    assert recalled(tale, "", len(room) + 26) == room
    assert recalled(tale, "", len(room) + 27) == FIRST + NAMED + LATER[:54] + LAST
    # A name among the last sentences brings no other.
    assert recalled(tale + " And who saw Hoshi?", "", 150).startswith(FIRST + "The bell")


def test_a_members_own_words_come_last() -> None:
    tale = FIRST + NAMED + LATER + LAST
    own = "But the fox"
    assert recalled(tale, own, 160) == f"{FIRST}{NAMED}{LATER[:27]}{LAST} {own}"


@pytest.mark.parametrize("memory", [0, 1, 5, 40, 79, 200, 1000])
@pytest.mark.parametrize(
    "tale",
    [
        FIRST + NAMED + LATER + LAST,
        "むかしむかし、狐がいた。" * 40,
        "むかしむかし" * 100,
        "word " * 300,
        "... " * 300,
        "\n\n" * 300,
        "a" * 3000,
        "Hoshi said: “No!” " * 100,
    ],
)
def test_it_is_never_more_than_that_and_all_of_it_was_told(tale: str, memory: int) -> None:
    read = recalled(tale.strip(), "", memory)
    assert len(read) <= memory
    assert set(read) <= set(tale)
    assert tale.strip().endswith(read[-30:])


def test_a_tale_without_names_or_spaces_keeps_its_beginning() -> None:
    read = recalled("むかし、狐がいた。" + "森へ行った。" * 40, "", 60)
    assert read == "むかし、狐がいた。" + "森へ行った。" * 8


def test_a_very_long_tale_costs_no_more() -> None:
    tale = FIRST + NAMED + "The bell rang, and it ran. " * 40_000
    assert recalled(tale, "", 100) == FIRST + "The bell rang, and it ran. " * 2
