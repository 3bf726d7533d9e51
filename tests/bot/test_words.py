"""What a reader calls a word, in scripts with and without spaces."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest
import regex

from bot.safety.words import WORD, Words
from tests.bot.texts import TIRING, texts

if TYPE_CHECKING:
    from collections.abc import Iterator


def split(text: str) -> list[str]:
    """The words of a text, without the space before each."""
    words = Words(text)
    ends = [words.end_of(number) for number in range(words.count)] + [len(text)]
    return [text[start:end].strip() for start, end in itertools.pairwise(ends)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("In the year 2099, she said: “no”.", "In the year 2099, she said: “no”."),
        ("昔々、「おに」と(犬)が。", "昔 々、 「お に」 と (犬) が。"),
        ("ストーリー2099年です", "ス ト ー リ ー 2099 年 で す"),
        ("hello(世界)!", "hello (世 界)!"),
        ("か\u3099ｶﾞ", "か\u3099 ｶﾞ"),
        ("สวัสดี กำ", "ส วั ส ดี กำ"),
        ("ខ្មែរ", "ខ្មែ រ"),
        ("한국 사람", "한국 사람"),
        ("नमस्ते दुनिया", "नमस्ते दुनिया"),
        ("می\u200cشود رفت", "می\u200cشود رفت"),
        ("zero\u200bwidth", "zero\u200bwidth"),
        ("👨\u200d👩\u200d👧 x 🇯🇵", "👨\u200d👩\u200d👧 x 🇯🇵"),
        ("to be \u200b \u3164 \u2800", "to be"),
        (" \n\t", ""),
        ("", ""),
    ],
)
def test_words_are_those_of_the_script(text: str, words: str) -> None:
    assert [word.rstrip("\u200b\u3164\u2800 ") for word in split(text)] == words.split(" ") * bool(
        words
    )


def test_five_thousand_kana_are_five_thousand_words() -> None:
    words = Words("か" * 5000)
    assert (words.count, words.end_of(10), words.end_of(6000)) == (5000, 10, 5000)


def test_a_word_without_end_is_several() -> None:
    assert Words("a" * 1000).count == 10


def test_a_text_that_grows_has_the_words_of_the_whole_and_never_fewer_than_before() -> None:
    dice = random.Random(3)
    for text in texts(1500):
        whole, growing = Words(text), Words()
        before: list[int] = []
        at = 0
        while at < len(text):
            piece = text[at : at + dice.randrange(1, 8)]
            growing.feed(piece)
            at += len(piece)
            assert growing.length == at
            assert growing.count >= len(before)
            # All but the last stand.
            assert [growing.end_of(n + 1) for n in range(len(before) - 1)] == before[:-1]
            before = [growing.end_of(n + 1) for n in range(growing.count)]
        assert before == [whole.end_of(n + 1) for n in range(whole.count)]


def test_what_is_no_word_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting:
        read = 0

        def finditer(self, text: str) -> Iterator[regex.Match[str]]:
            self.read += len(text)
            return WORD.finditer(text)

    monkeypatch.setattr("bot.safety.words.WORD", counting := Counting())
    for blank in (" ", "\n", " \u200b", "\u2800"):
        words = Words("word")
        for _ in range(1000):
            words.feed(blank)
        words.feed("another")
        assert words.count == 2
        assert words.end_of(1) == len("word")
        assert words.length == len("word" + 1000 * blank + "another")
    assert counting.read < 20_000


def test_a_word_ends_with_a_whole_character() -> None:
    for text in texts(3000):
        words = Words(text)
        ends = set(itertools.accumulate(map(len, regex.findall(r"\X", text))))
        assert {words.end_of(n) for n in range(1, words.count)} <= ends, ascii(text)


@pytest.mark.parametrize("part", TIRING)
def test_words_are_counted_in_time_that_grows_with_the_text(part: str) -> None:
    text = part * (100_000 // len(part))
    assert Words(text).length == len(text)
