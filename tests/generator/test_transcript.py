from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from generator.text.sentences import ends_with_a_word, last_whole_word, sentence_end
from generator.text.transcript import Detokenizer, StopStrings, Transcript
from tests.generator.small_models import PROSE, byte_level_tokenizer, word_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def cut(tokens: Sequence[int], chance: random.Random) -> Iterator[Sequence[int]]:
    """The tokens in order, in pieces of random length."""
    at = 0
    while at < len(tokens):
        size = chance.choice([1, 1, 1, 2, 3, 7, 40])
        yield tokens[at : at + size]
        at += size


def tell(
    text: str,
    *,
    budget: int | None = None,
    cut_off: bool = True,
    stops: Sequence[str] = (),
    finish_sentence: bool = True,
    seed: int | None = None,
) -> str:
    """What is shown of a story whose tokens are `text`; one token at a time, or cut at random."""
    tokenizer = byte_level_tokenizer()
    tokens = tokenizer.encode(text).ids
    transcript = Transcript(
        tokenizer,
        tokenizer.encode("Once").ids,
        budget=len(tokens) if budget is None else budget,
        stops=stops,
        finish_sentence=finish_sentence,
    )
    pieces = [[token] for token in tokens] if seed is None else cut(tokens, random.Random(seed))
    shown = "".join(transcript.push(piece) for piece in pieces)
    return shown + transcript.finish(cut_off=cut_off)


@pytest.mark.parametrize("seed", range(20))
def test_text_is_whole_however_the_tokens_arrive(seed: int) -> None:
    tokenizer = byte_level_tokenizer()
    text = PROSE + "naïve 🎎🏯 " * 30
    tokens = tokenizer.encode(text).ids
    detokenizer = Detokenizer(tokenizer, tokenizer.encode("夜").ids)
    pieces = [detokenizer.push(piece) for piece in cut(tokens, random.Random(seed))]
    assert "".join(pieces) + detokenizer.finish() == text
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)


@pytest.mark.parametrize("seed", range(20))
def test_bytes_that_are_no_text_give_what_decoding_all_at_once_gives(seed: int) -> None:
    tokenizer = byte_level_tokenizer()
    chance = random.Random(seed)
    tokens = [chance.randrange(1, tokenizer.get_vocab_size()) for _ in range(300)]
    detokenizer = Detokenizer(tokenizer, [])
    text = "".join(detokenizer.push(piece) for piece in cut(tokens, chance)) + detokenizer.finish()
    assert text == tokenizer.decode(tokens)


def test_a_token_costs_the_same_late_in_a_story_as_early() -> None:
    tokenizer = byte_level_tokenizer()
    detokenizer = Detokenizer(tokenizer, [])
    token = tokenizer.encode("\N{HIRAGANA LETTER NO}").ids[0]  # the first byte of a character
    longest = 0
    for _ in range(2000):
        detokenizer.push([token])
        longest = max(longest, len(detokenizer._window))
    assert longest <= 33


def test_words_are_set_apart_from_the_prompt() -> None:
    tokenizer = word_tokenizer()
    detokenizer = Detokenizer(tokenizer, tokenizer.encode("in the year").ids)
    story = tokenizer.encode("a young man").ids
    assert [detokenizer.push([token]) for token in story] == [" a", " young", " man"]


def test_a_stop_string_is_found_across_pieces() -> None:
    stops = StopStrings(["THE END"])
    assert [stops.push(piece) for piece in ["all slept. TH", "E E", "N"]] == ["all slept. ", "", ""]
    assert not stops.found
    assert stops.push("D and more") == ""
    assert stops.found


@pytest.mark.parametrize("cut", [1, 2, 5, 100])
def test_no_token_after_a_stop_string_is_counted(cut: int) -> None:
    tokenizer = byte_level_tokenizer()
    tokens = tokenizer.encode("one two. three four five").ids
    transcript = Transcript(tokenizer, [], budget=100, stops=["."])
    for start in range(0, len(tokens), cut):
        transcript.push(tokens[start : start + cut])
    assert transcript.stopped
    assert transcript.tokens == next(
        n for n in range(len(tokens)) if "." in tokenizer.decode(tokens[:n])
    )


def test_what_only_looked_like_a_stop_string_is_shown() -> None:
    stops = StopStrings(["\n\n", "END"])
    assert stops.push("one\n") == "one"
    assert stops.push("two EN") == "\ntwo "
    assert stops.finish() == "EN"
    assert not stops.found


@pytest.mark.parametrize("pieces", [["abc"], ["ab", "c"], ["a", "b", "c"]])
def test_the_stop_string_that_is_complete_first_wins_however_text_is_cut(
    pieces: list[str],
) -> None:
    stops = StopStrings(["abc", "b"])
    assert "".join(stops.push(piece) for piece in pieces if not stops.found) == "a"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("He left. She ran. The gate", "He left. She ran."),
        ('"Run!" she cried and ran. The', '"Run!" she cried and ran.'),
        ('He said, "I know." She', 'He said, "I know."'),
        ("He said, “I know.” She", "He said, “I know.”"),
        ("He left. He met Dr. Mori", "He left."),
        ("He left. At 3.14 he", "He left."),
        ("He left. It was J. R. who", "He left."),
        ("He left. She waited... and so on and", "He left."),
        ("She waited... Then he", "She waited..."),
        ("What?! No", "What?!"),
        ("It was World War I. Then", "It was World War I."),
        ("They fight, e.g. Ren and", ""),
        ("夜が来た。火が", "夜が来た。"),
        ("「夜だ。」と言っ", "「夜だ。」"),
        ("no end here", ""),
    ],
)
def test_sentences_end_where_a_reader_says_they_end(text: str, shown: str) -> None:
    assert text[: sentence_end(text, complete=True)] == shown


def test_a_mark_at_the_end_waits_for_what_comes_next() -> None:
    assert sentence_end("She waited...", complete=False) == 0
    assert sentence_end("She waited... ", complete=False) == 0
    assert sentence_end("She waited... T", complete=False) == len("She waited...")
    assert sentence_end("She waited...", complete=True) == len("She waited...")


@pytest.mark.parametrize(
    ("held", "whole"),
    [
        (" went to the sch", " went to the"),
        ("rai went", "rai"),
        (" kat", ""),
        ("火のそば", "火のそば"),
    ],
)
def test_the_last_whole_word_has_a_space_after_it(held: str, whole: str) -> None:
    assert held[: last_whole_word(held)] == whole


@pytest.mark.parametrize(
    ("text", "does"),
    [
        *((text, True) for text in ("Elon Musk", "In the year 20", "café", "cafe\u0301", "한국")),
        *((text, False) for text in ("", "the ", "the cat'", "No.", '"No"', "夜", "カ", "ไทย")),
    ],
)
def test_whether_a_beginning_ends_with_a_word(text: str, *, does: bool) -> None:
    assert ends_with_a_word(text) is does


LONG = "The samurai walked through the rain for many days. " * 6


def test_a_story_whose_budget_runs_out_ends_with_a_sentence() -> None:
    assert tell(LONG + "The samurai walked thr") == LONG.strip()


def test_a_story_without_a_sentence_end_near_its_end_ends_with_a_whole_word() -> None:
    assert tell("the samurai walked and walked " * 9 + "and wal") == (
        "the samurai walked and walked " * 9 + "and"
    )


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("He left. Then the samurai walked", "He left."),
        ("The samurai walked and wal", "The samurai walked and"),
        ("「夜だ。」火のそば", "「夜だ。」"),
    ],
)
def test_a_short_story_ends_with_its_last_sentence(told: str, shown: str) -> None:
    assert tell(told) == shown


def test_a_short_story_is_shown_word_by_word_until_a_sentence_has_ended() -> None:
    tokenizer = byte_level_tokenizer()
    tokens = tokenizer.encode("The samurai walked. He left. Then he").ids
    transcript = Transcript(tokenizer, tokens[:1], budget=len(tokens))
    shown = [piece for token in tokens if (piece := transcript.push([token]))]
    assert shown == ["The", " samurai", " walked.", " He left."]


def test_nothing_is_added_to_a_sentence_that_ended_before_the_last_stretch() -> None:
    text = "He left. " * 30 + "Then the samurai of the northern valley went on and on"
    tokens = byte_level_tokenizer().encode(text).ids
    before = len(byte_level_tokenizer().encode("He left. " * 30).ids)
    assert len(tokens) - min(48, len(tokens) // 5) <= before
    assert tell(text) == ("He left. " * 30).strip()


def test_a_story_that_ends_by_itself_is_shown_whole() -> None:
    assert tell(LONG + "The samurai walked thr", cut_off=False) == LONG + "The samurai walked thr"


def test_a_caller_may_want_every_word() -> None:
    text = LONG + "The samurai walked thr"
    assert tell(text, finish_sentence=False) == text


def test_a_stop_string_in_the_last_stretch_ends_the_story_there() -> None:
    assert tell(LONG + "The samurai END walked", stops=["END"]) == LONG + "The samurai "


def test_text_flows_freely_until_the_last_stretch() -> None:
    tokenizer = byte_level_tokenizer()
    tokens = tokenizer.encode(LONG).ids
    transcript = Transcript(tokenizer, tokens[:1], budget=10 * len(tokens))
    assert "".join(transcript.push([token]) for token in tokens) == LONG


@pytest.mark.parametrize("seed", range(30))
def test_the_same_tokens_give_the_same_text_however_they_are_cut(seed: int) -> None:
    text = PROSE * 2
    whole = len(byte_level_tokenizer().encode(text).ids)
    assert tell(text, budget=whole, stops=["wait..."], seed=seed) == tell(text, stops=["wait..."])
    assert tell(text, budget=whole, seed=seed) == tell(text)
