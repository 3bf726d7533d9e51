"""The article's rules and ours, text by text."""

from __future__ import annotations

import pytest

from training.corpus.rows import Row
from training.corpus.rules import Drop, article, default, fingerprint

PROSE = (
    "When the bells of the valley fall silent, a young bell-maker leaves her workshop to find out "
    "who has stolen their voices, and meets a thief with a conscience"
)  # 28 words


SPANISH = (
    "El joven pescador encuentra una carta dentro de una botella y decide buscar a quien "
    "escribió esas palabras hace muchos años antes que llegue el invierno."
)


def row(text: str, genres: str = "Drama") -> Row:
    return Row(1, "The Silent Bells", genres, text)


def words(count: int) -> str:
    return " ".join((["the", "fox", "and", "his", "moon"] * 100)[:count])


@pytest.mark.parametrize("genres", ["Comedy, Hentai", "Kids, Music"])
def test_both_rules_leave_out_hentai_and_kids(genres: str) -> None:
    assert article(row(words(50), genres)) is Drop.GENRE
    assert default(row(words(50), genres)) is Drop.GENRE


@pytest.mark.parametrize(
    ("count", "result"), [(30, Drop.SHORT), (31, None), (300, None), (301, Drop.LONG)]
)
def test_the_article_keeps_31_to_300_words(count: int, result: Drop | None) -> None:
    assert article(row(words(count))) == (result or words(count))


def test_the_article_counts_words_before_it_cuts() -> None:
    assert article(row(f"{words(5)} (Source: {words(30)})")) == words(5)
    assert article(row(f"{words(5)} [Written {words(30)}]")) == words(5)


def test_the_article_deletes_symbols_and_what_is_not_ascii() -> None:
    text = f'{words(31)} it\'s "Café" (at 100%); <b> & #1 / a@b `x` = $5 進撃 end'
    assert article(row(text)) == f"{words(31)} its Caf at 100 b  1  ab x  5 end".replace("  ", " ")


@pytest.mark.parametrize("phrase", ["An Adaptation", "a music video", "Based on", "the spin-off"])
def test_the_article_drops_talk_about_productions(phrase: str) -> None:
    assert article(row(f"{phrase} {words(40)}")) is Drop.META


def test_prose_is_kept_as_it_is() -> None:
    assert default(row(f"{PROSE}.")) == f"{PROSE}."


@pytest.mark.parametrize(
    "credit",
    [
        "(Source: ANN)",
        " [Written by MAL Rewrite]",
        "\n\n(Source: Some Publisher, edited)",
        "Source: Somewhere",
        "(from the publisher)",
        "\n\nIncluded one-shot: The Fox",
        "\nNote: Won a prize.",
    ],
)
def test_credits_are_cut(credit: str) -> None:
    assert default(row(f"{PROSE}. {credit}")) == f"{PROSE}."


def test_a_sentence_about_the_publication_goes_and_the_story_stays() -> None:
    told = f"Based on the popular manga series by nobody. {PROSE}. This OVA came with the DVD."
    assert default(row(told)) == f"{PROSE}."
    assert default(row(f"The fourth episode of the {words(30)}.")) is Drop.META


def test_length_is_counted_after_cutting() -> None:
    assert default(row(f"{words(10)}. (Source: {words(40)})")) is Drop.SHORT
    assert default(row(words(301))) is Drop.LONG


@pytest.mark.parametrize(
    ("text", "drop"),
    [
        ("", Drop.EMPTY),
        ("  \n ", Drop.EMPTY),
        ("No synopsis information has been added to this title. Help us here.", Drop.PLACEHOLDER),
        ("No synopsis yet.", Drop.PLACEHOLDER),
        ("これは日本語のあらすじです。" * 10, Drop.LANGUAGE),
        (SPANISH, Drop.LANGUAGE),
    ],
)
def test_what_is_no_english_story_is_dropped(text: str, drop: Drop) -> None:
    assert default(row(text)) is drop


def test_signs_are_made_plain_and_foreign_names_in_brackets_go() -> None:
    told = f"“Come,” says Rōshi (老師) – the fox’s friend…  {PROSE}."  # noqa: RUF001
    assert default(row(told)) == f'"Come," says Rōshi — the fox\'s friend... {PROSE}.'


def test_a_cut_off_first_letter_becomes_a_capital() -> None:
    assert default(row(f"once more, {PROSE}.")) == f"Once more, {PROSE}."


def test_fingerprints_ignore_case_and_punctuation() -> None:
    assert fingerprint("The Fox—again!") == fingerprint("the fox, again")
    assert fingerprint("The fox again") != fingerprint("The fox once")
