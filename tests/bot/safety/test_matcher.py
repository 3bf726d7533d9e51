"""Words are found however they are written, and only where they stand."""

from __future__ import annotations

import pytest

from bot.safety.folding import folded
from bot.safety.matcher import Tree
from bot.safety.patterns import Category, expanded, patterns_of
from bot.safety.word_filter import WordFilter, house_filter, self_harm_filter
from tests.bot.texts import TIRING, texts

HIDING = "\u200b\u200c\u200d\u2060\u3164\u2800\xad\u034f\ufe0f\U000e0061\ue000"


def looking_for(*entries: str) -> WordFilter:
    """A filter of a few harmless words."""
    return WordFilter(Tree(p for entry in entries for p in patterns_of(entry, Category.OWN)))


@pytest.mark.parametrize(
    "written",
    [
        *("turnip", "TURNIP", "a turnip!", "turnip2", "“turnip”", "…turnip…", "(turnip)"),
        *("t u r n i p", "t.u.r.n.i.p", "t-u-r-n-i-p", "t  u  r  n  i  p", "tt u r n i p"),
        *("tur.nip", "tur-nip", "tur_nip", "turrrrnip", "tttuuurrrnnniiippp"),
        *("t*rnip", "t****p", "turn1p", "tu2rn!p".replace("2", ""), "7urn1p", "+urnip"),
        *("ｔｕｒｎｉｐ", "𝓽𝓾𝓻𝓷𝓲𝓹", "ⓣⓤⓡⓝⓘⓟ", "🆃🆄🆁🅽🅸🅿", "🇹🇺🇷🇳🇮🇵", "tυrnір", "túrnïp"),  # noqa: RUF001
        *("今turnip今", "t u r n i p turnips"),
    ],
)
def test_a_word_is_found_however_it_is_written(written: str) -> None:
    assert looking_for("turnip").finds(written) is Category.OWN


@pytest.mark.parametrize("hidden", HIDING)
def test_nothing_invisible_hides_a_word(hidden: str) -> None:
    assert looking_for("turnip").finds(hidden.join("turnip"))


@pytest.mark.parametrize(
    "other",
    [
        *("turnips", "aturnip", "turnipturnip", "tur nip", "turni", "urnip", "t u r n i p s"),
        *("turn-table ip", "a t u r n i", "t u r n    i p", "7 0 2 1 9", "turnpi", ""),
    ],
)
def test_a_word_within_a_longer_one_is_another(other: str) -> None:
    assert looking_for("turnip").finds(other) is None


def test_a_star_lets_a_word_go_on_at_that_end() -> None:
    for entry, found in (("turnip*", "turnips"), ("*turnip", "aturnip"), ("*turnip*", "aturnips")):
        assert looking_for(entry).finds(found)
    assert not looking_for("turnip*").finds("aturnips")
    assert not looking_for("*turnip").finds("aturnips")


def test_a_phrase_is_found_over_punctuation_and_lines() -> None:
    for text in ("green turnip", "green, turnip", "green\n\n turnip", "Green — TURNIP!"):
        assert looking_for("green turnip").finds(text)
    assert not looking_for("green turnip").finds("green old turnip")


def test_a_doubled_letter_is_a_stretched_one_but_a_single_one_is_no_double() -> None:
    assert looking_for("bog").finds("boog")
    assert not looking_for("boogg").finds("bog")
    tree = Tree(patterns_of("raped", Category.SEXUAL), fit=["rapped"])
    assert not WordFilter(tree).finds("he rapped well")
    assert WordFilter(tree).finds("rappped")


def test_a_one_may_be_an_i_or_an_l_and_a_number_is_no_word() -> None:
    assert looking_for("lilt").finds("1i1t")
    assert looking_for("lilt").finds("l11t")
    assert not looking_for("lilt").finds("iiit")
    assert not looking_for("lilt").finds("1117")


def test_katakana_stand_by_themselves_and_other_scripts_within_sentences() -> None:
    assert looking_for("カブ").finds("今日カブを食べる")
    assert looking_for("カブ").finds("ｶﾌﾞ") is Category.OWN
    assert not looking_for("カブ").finds("カブトムシ")
    assert looking_for("蕪菁").finds("我吃蕪菁了")


def test_braces_are_alternatives() -> None:
    assert list(expanded("{green,old} turnip{,s}")) == [
        *("green turnip", "green turnips", "old turnip", "old turnips"),
    ]


def test_every_character_folds_to_what_folds_to_itself() -> None:
    for code in range(0x30000):
        plain = folded(chr(code))
        assert "".join(map(folded, plain)) == plain, hex(code)


@pytest.mark.parametrize(
    "part", [*TIRING, "f", "fu", "f ", "f.", "f*", "sex with a ", "マン", "1l"]
)
def test_a_text_is_read_in_time_that_grows_with_it(part: str) -> None:
    reader = house_filter().reader()
    reader.feed(part * (100_000 // len(part)))
    assert reader.length - reader.held_from <= 200


def test_texts_of_every_kind_are_read() -> None:
    for text in texts(2000):
        house_filter().finds(text)
        self_harm_filter().finds(text)
