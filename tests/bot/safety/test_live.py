"""A growing text is shown as far as it is fit, and never the beginning of what is not."""

from __future__ import annotations

import random

import pytest

from bot.safety.live import Screen, UnfitError
from bot.safety.own_words import filter_of
from bot.safety.word_filter import house_filter
from tests.bot.safety.figures import OURS, texts

BEFORE = "The fox said: "


def pieces(text: str, dice: random.Random) -> list[str]:
    """The text in pieces of one to six characters."""
    parts = []
    while text:
        size = dice.randint(1, 6)
        parts.append(text[:size])
        text = text[size:]
    return parts


def shown(text: str, *, seed: int = 0, before: str = "") -> str:
    """What is let through of a text, as far as it is."""
    screen, out = Screen([house_filter()], before), ""
    try:
        for piece in pieces(text, random.Random(seed)):
            out += screen.feed(piece)
        return out + screen.end()
    except UnfitError:
        return out


@pytest.mark.parametrize("kind", ["fit", "tales_of_death"])
def test_what_is_fit_is_shown_whole_in_whatever_pieces_it_comes(kind: str) -> None:
    fit = [text for text in texts(kind) if not OURS(text)]
    for number, text in enumerate(fit):
        assert shown(text, seed=number) == text


@pytest.mark.parametrize("kind", ["unfit", "disguised"])
def test_of_what_is_not_fit_not_even_its_beginning_is_shown(kind: str) -> None:
    for number, text in enumerate(texts(kind)):
        out = shown(BEFORE + text, seed=number)
        assert len(out) < len(BEFORE + text), text
        assert OURS(out) is None, text


@pytest.mark.parametrize("word", ["turnip", "green turnip", "t u r n i p", "tur.nip", "turn1p"])
def test_a_word_is_held_back_from_its_first_letter_until_it_is_another(word: str) -> None:
    own = filter_of(["turnip", "green turnip"])
    assert own is not None
    screen, out = Screen([own], BEFORE), ""
    try:
        for char in f"a fox ate the {word} and slept":
            out += screen.feed(char)
    except UnfitError as error:
        assert error.category == "own"  # noqa: PT017  # what was let through before is the point
    assert out.rstrip() == "a fox ate the"


def test_a_word_that_only_begins_like_one_comes_as_soon_as_it_is_known() -> None:
    own = filter_of(["turnip"])
    assert own is not None
    screen = Screen([own])
    assert [screen.feed(char) for char in "turning"] == ["", "", "", "", "", "turnin", "g"]


def test_a_word_is_seen_that_the_beginning_began() -> None:
    own = filter_of(["turnip"])
    assert own is not None
    with pytest.raises(UnfitError):
        Screen([own], "the tur").feed("nip grew")
    # What stands within the beginning was shown already.
    screen = Screen([own], "the turnip")
    assert screen.feed(" grew ") + screen.end() == " grew "


def test_little_is_held_back_of_a_noise_without_end() -> None:
    screen = Screen([house_filter()])
    assert len(screen.feed("f" * 5000)) == 4800
    assert len(screen.feed("f" * 5000)) == 5000
