"""A server's own words: literal, with a star at an end, and none of them slow."""

from __future__ import annotations

import pytest

from bot.safety.own_words import (
    LONGEST_WORD,
    MOST_WORDS,
    WordRefusal,
    WordRefusedError,
    checked_word,
    filter_of,
)
from bot.safety.patterns import Category


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  green   turnip ", "green turnip"),
        ("turnip*", "turnip*"),
        ("*turnip*", "*turnip*"),
        ("1488", "1488"),
        ("蕪", "蕪"),
        ("(turnip+)+$", "(turnip+)+$"),
    ],
)
def test_a_word_is_kept_as_it_is_looked_for(given: str, kept: str) -> None:
    assert checked_word(given) == kept


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ("tur*nip", WordRefusal.STAR),
        ("**turnip", WordRefusal.STAR),
        ("*", WordRefusal.SHORT),
        ("", WordRefusal.SHORT),
        ("?!…", WordRefusal.SHORT),
        ("(a+)+$", WordRefusal.SHORT),
        ("x" * (LONGEST_WORD + 1), WordRefusal.LONG),
    ],
)
def test_what_cannot_be_looked_for_is_refused(given: str, refusal: WordRefusal) -> None:
    with pytest.raises(WordRefusedError) as refused:
        checked_word(given)
    assert refused.value.refusal is refusal


def test_words_are_found_as_the_houses_are() -> None:
    own = filter_of(["turnip*", "green tea", "1488", "репа"])
    assert own is not None
    for text in ("Turnips!", "t u r n i p", "ｔｕｒｎｉｐ", "green TEA", "in 1488", "Репа растёт"):  # noqa: RUF001
        assert own.finds(text) is Category.OWN, text
    for text in ("green teas", "14880", "a turn"):
        assert own.finds(text) is None, text


def test_the_signs_of_a_pattern_mean_nothing() -> None:
    own = filter_of(["(turnip+)+$"])
    assert own is not None
    assert own.finds("a turnip, and (turnip+)+$")
    assert not own.finds("turnipturnip")


def test_no_words_are_no_filter_and_the_same_words_the_same_one() -> None:
    assert filter_of([]) is None
    assert filter_of(["turnip", "tea"]) is filter_of(("turnip", "tea"))


def test_what_was_saved_under_other_rules_is_left_out_and_of_too_many_the_first_count() -> None:
    own = filter_of(["tur*nip", "*", "tea", *(f"word{number}" for number in range(MOST_WORDS))])
    assert own is not None
    assert own.finds("tea")
    assert own.finds("word0")
    assert not own.finds("turnip")
    assert not own.finds(f"word{MOST_WORDS - 1}")
