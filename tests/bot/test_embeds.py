"""What a story looks like in its message."""

from __future__ import annotations

import pytest

from bot.database.tables import State, Story
from bot.messages import embeds
from bot.safety.escaping import units
from tests.bot.texts import texts


def page(prompt: str, text: str) -> str:
    """A told story's description."""
    story = Story(prompt=prompt, text=text, model="m", seed=1, state=State.TOLD)
    return embeds.ended(story).description or ""


def footer(prompt: str, text: str) -> str:
    """A told story's footer."""
    story = Story(prompt=prompt, text=text, model="m", seed=1, state=State.TOLD)
    return embeds.ended(story).footer.text or ""


def test_a_beginning_is_bold_and_what_follows_is_plain() -> None:
    assert page("In the *year*", " 2099.") == r"**In the \*year\*** 2099."


def test_a_long_beginning_is_no_wall_of_bold() -> None:
    long = "and so it went " * 20
    assert "**" not in page(long, " on")
    assert page("a" * 120, "") == f"**{'a' * 120}**"
    assert page("か" * 121, "") == "か" * 121


@pytest.mark.parametrize(
    ("end", "rest"), [("discord", ".gg/abc"), ("@", "everyone"), ("https:", "//a.b"), (":a", "b:")]
)
@pytest.mark.parametrize("begun", ["", "and so it went " * 20])
def test_beginning_and_story_make_nothing_live_together(begun: str, end: str, rest: str) -> None:
    assert f"{end}{rest}" not in page(begun + end, rest)


@pytest.mark.parametrize("prompt", ["In the *year*", "", "and so it went on " * 20])
def test_words_that_were_drawn_are_read_back(prompt: str) -> None:
    story = Story(prompt=prompt, text="", model="m", seed=1, state=State.TELLING)
    for text in [" one *two* #three\n- \\four discord.gg/five", *texts(300)]:
        drawn = embeds.telling(story, f" {text} end").description or ""
        again = embeds.telling(story, embeds.told_in(story, drawn)).description
        assert again == drawn


def test_bold_spans_no_line() -> None:
    assert page("one\ntwo", " on") == "one\ntwo on"


@pytest.mark.parametrize("prompt", ["", " ", "\u200d", "\u3164"])
def test_a_beginning_that_nobody_sees_is_shown_as_none(prompt: str) -> None:
    assert page(prompt, " on") == "… on"


def test_five_thousand_kana_are_shown_as_far_as_the_message_holds() -> None:
    shown = page("昔", "かな" * 2500)
    assert shown.startswith("**昔**かなかな")
    assert shown.endswith(" …")
    assert units(shown) == embeds.DESCRIPTION_LIMIT


def test_emoji_are_measured_as_discords_clients_measure_them() -> None:
    shown = page("x", "😀 " * 3000)
    assert embeds.DESCRIPTION_LIMIT - 3 <= units(shown) <= embeds.DESCRIPTION_LIMIT


def test_a_long_story_is_cut_between_two_words() -> None:
    shown = page("x", " word" * 2000)
    assert shown.endswith(" word …")


@pytest.mark.parametrize("prompt", ["*" * 3000, "か" * 5000, "word " * 1000, "<@1>" * 1500])
def test_a_beginning_longer_than_the_message_is_cut(prompt: str) -> None:
    shown = page(prompt, " on")
    assert shown.endswith(" …")
    assert 4000 <= units(shown) <= embeds.DESCRIPTION_LIMIT
    assert not shown.removesuffix(" …").endswith("\\")


def test_whatever_is_told_fits_into_the_message() -> None:
    for prompt, text in zip(texts(150, 60), texts(150, 3000), strict=True):
        assert units(page(prompt, text)) <= embeds.DESCRIPTION_LIMIT


def test_a_model_that_tells_without_end_costs_no_more_than_a_page() -> None:
    shown = page("x", " word" * 100_000)
    assert shown.endswith(" word …")


@pytest.mark.parametrize(
    ("prompt", "text", "words"),
    [
        ("In the year", " 2099.", "4 words"),
        ("昔々、", "あるところに。", "8 words"),
        ("Once", "", "1 word"),
        ("か", "", "1 word"),
        ("", "two\u200d \u3164 words", "2 words"),
    ],
)
def test_the_footer_counts_the_scripts_own_words(prompt: str, text: str, words: str) -> None:
    assert footer(prompt, text) == f"m · seed 1 · {words}"
