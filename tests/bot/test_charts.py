"""Pictures: what is drawn, at which size, and what is left out."""

from __future__ import annotations

import io

import pytest
from PIL import Image

import bot.charts.card
import bot.charts.standing
import bot.charts.village
from bot.charts.canvas import BACKGROUND, COLOURS, FAINT, PANEL, TEXT
from bot.charts.card import card
from bot.charts.errors import NoLettersError
from bot.charts.fonts import Letters, drawable
from bot.charts.hours import FEWEST, hours
from bot.charts.standing import standing
from bot.charts.strengths import Strength
from bot.charts.village import village
from bot.database.figures import Likes, Month

UNKNOWN = "\U0001fae8"
"""A picture of a face, which no font that we draw with has."""


def image(png: bytes) -> Image.Image:
    drawn = Image.open(io.BytesIO(png)).convert("RGB")
    assert drawn.width == 1000
    return drawn


def colours(png: bytes) -> set[str]:
    """Every colour of a picture, of which there is more than a little."""
    drawn = image(png)
    found = drawn.getcolors(drawn.width * drawn.height) or []
    return {"#{:02x}{:02x}{:02x}".format(*rgb) for count, rgb in found if count > 200}  # type: ignore[misc]  # three


def contrast(one: str, other: str) -> float:
    """How far two colours are apart, as the guidelines for accessible pages measure it."""

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_letters_and_bars_stand_out_from_what_they_are_drawn_on() -> None:
    for ground in (BACKGROUND, PANEL):
        for letters in (TEXT, FAINT, COLOURS[1]):
            assert contrast(letters, ground) >= 4.5
    for bar in COLOURS:
        assert contrast(bar, BACKGROUND) >= 3


def test_a_card_is_as_high_as_its_text_and_never_endless() -> None:
    low, high, endless = (
        image(card("In the year", "It was cold. " * times, "Told by gpt2 · Kataribe")).height
        for times in (1, 20, 5000)
    )
    assert low < high < endless < 2200
    longer = image(card("In the year", "It was cold. " * 9000, "Told by gpt2 · Kataribe"))
    assert longer.height == endless


def test_a_title_that_no_font_has_is_left_out_and_a_text_that_none_has_is_refused() -> None:
    text = "It was cold."
    without = card("", text, "Kataribe")
    assert card(UNKNOWN * 3, text, "Kataribe") == without
    assert card("Cold", text, "Kataribe") != without
    with pytest.raises(NoLettersError):
        card("Cold", UNKNOWN * 10, "Kataribe")
    with pytest.raises(NoLettersError):
        card("Cold", " \n", "Kataribe")


def test_what_no_font_has_is_not_drawn_as_a_box() -> None:
    assert drawable(f"a {UNKNOWN}b\n") == "a b\n"
    letters = Letters(36)
    assert letters.width(f"a{UNKNOWN}") == letters.width("a") > 0


def test_lines_fit_and_end_between_words_or_letters_of_unspaced_scripts() -> None:
    letters = Letters(36)
    lines = letters.lines("the fox " * 40, 600, 99)
    assert " ".join(lines) == ("the fox " * 40).strip()
    assert all(letters.width(line) <= 600 for line in lines)
    cut = letters.lines("the fox " * 40, 600, 3)
    assert len(cut) == 3
    assert cut[-1].endswith(" …")
    assert letters.width(cut[-1]) <= 600
    assert len(letters.lines("x" * 500, 600, 99)) > 5
    assert letters.lines("a\n\nb", 600, 9) == ["a", "", "b"]
    if drawable("猫"):
        kana = letters.lines("猫である。" * 30, 600, 99)
        assert "".join(kana) == "猫である。" * 30
        assert not [line for line in kana if line.startswith("。")]


def test_a_model_has_one_colour_in_both_charts() -> None:
    strengths = [
        Strength("b", 1080, 1000, 1160, 10, noise=False),
        Strength("a" * 90, 920, 840, 1000, 10, noise=True),
    ]
    likes = [Likes("a" * 90, 5, 4.5), Likes("b", 5, 3.0)]
    both = colours(standing(strengths, likes))
    assert {colour.lower() for colour in COLOURS[:2]} <= both
    assert COLOURS[2].lower() not in both
    rows = [image(standing(strengths * times, likes)).height for times in (1, 4, 50)]
    assert rows[0] < rows[1] < rows[2] < 2600, "of very many models the first are drawn"
    assert image(standing((), likes)).height < rows[0]


def test_a_month_is_drawn_even_where_there_is_little_to_draw() -> None:
    assert image(village(Month([0] * 30, [0] * 24, [], [0] * 5))).height > 500
    many = [(f"model-{number}", 10**6) for number in range(50)]
    drawn = village(Month([9] * 30, [9] * 24, many, [10**6] * 5))
    assert image(drawn).height < 2200
    assert {colour.lower() for colour in COLOURS[:4]} <= colours(drawn)


def test_no_letters_are_too_small_for_a_phone() -> None:
    # It shows a thousand pixels about 350 wide: thirty of them are ten and a half.
    rooms = (bot.charts.card, bot.charts.standing, bot.charts.village)
    used = [one for room in rooms for one in vars(room).values() if isinstance(one, Letters)]
    assert len(used) == 9
    assert min(letters.size for letters in used) >= 30


def test_an_hour_of_which_nothing_is_known_is_left_out() -> None:
    nothing: dict[str, tuple[float | None, ...]] = {"queue": (0, 0), "pace": (None, None)}
    assert not colours(hours(nothing)) & set(map(str.lower, COLOURS[:2]))
    some = image(hours({"queue": (3.0,) * 10 + (None,) * (FEWEST - 10)}))
    first = COLOURS[0].lower()

    def drawn(x: float) -> bool:
        column = [some.getpixel((round(x), y)) for y in range(some.height)]
        return any("#{:02x}{:02x}{:02x}".format(*rgb) == first for rgb in column)  # type: ignore[misc]  # three

    assert [drawn(x) for x in (100, 300, 400, 900)] == [True, True, False, False]
