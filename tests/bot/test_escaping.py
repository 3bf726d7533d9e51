"""Text that Discord shows letter for letter."""

from __future__ import annotations

import itertools
import re
import unicodedata

import pytest
import regex

from bot.safety.escaping import cut, escaped, units
from tests.bot.texts import TIRING, texts


@pytest.mark.parametrize(
    ("told", "seen"),
    [
        (" plain, with 3 - 2 and 4.5", " plain, with 3 - 2 and 4.5"),
        ("**b** _i_ ~~s~~ `c` ||x||", r"\*\*b\*\* \_i\_ \~\~s\~\~ \`c\` \|\|x\|\|"),
        (r"a\*b", r"a\\\*b"),
        (
            "# big\n-# small\n> said\n- one\n1. two",
            "\\# big\n\\-# small\n\\> said\n\\- one\n1\\. two",
        ),
        ("\n   # big", "\n\\# big"),
        ("[a](http://b)", "\\[a](http:\u200b//b)"),
        ("<@1> <:a:1>", "\\<@1> \\<:\u200ba:1>"),
        ("@here discord.gg/x www.x", "@\u200bhere discord\u200b.gg/x www\u200b.x"),
        ("\u202eevil", "evil"),
        ("  # big", "  \\# big"),
        (":smile: at 12:30", ":\u200bsmile: at 12:30"),
        ("discordapp.com/invite/x dsc.gg/x", "discordapp\u200b.com/invite/x dsc\u200b.gg/x"),
        ("見てhttps://a", "見てhttps:\u200b//a"),
        ("dis\u200dcord\xad.gg/x", "discord\u200b.gg/x"),
        ("ｄｉｓｃｏｒｄ．ｇｇ", "ｄｉｓｃｏｒｄ\u200b．ｇｇ"),  # noqa: RUF001
        ("@\u200deveryone", "@\u200beveryone"),
        ("🩷 👨\u200d👩 क्\u200dष", "🩷 👨\u200d👩 क्\u200dष"),
    ],
)
def test_text_is_seen_letter_for_letter(told: str, seen: str) -> None:
    assert escaped(told) == seen


_LIVE = re.compile(
    r"discord(?:app)?\.(?:gg|com)|dsc\.gg|://|www\.|@everyone|@here|(?<!\\)(?:\\\\)*<[@#:/]|:[a-z_]+:",
    re.IGNORECASE,
)


def test_no_text_that_is_shown_holds_anything_live() -> None:
    for text in texts(5000):
        seen = escaped(text)
        assert not _LIVE.search(seen), ascii(text)
        assert not _LIVE.search(unicodedata.normalize("NFKC", seen)), ascii(text)


@pytest.mark.parametrize("part", TIRING)
def test_escaping_and_cutting_take_time_that_grows_with_the_text(part: str) -> None:
    assert units(cut(escaped(part * (100_000 // len(part))), 4000)) <= 4000


@pytest.mark.parametrize(
    ("text", "room", "kept"),
    [
        ("one two three", 20, "one two three"),
        ("one two three", 11, "one two"),
        ("one two three", 7, "one two"),
        ("昔々、あるところに", 6, "昔々、あると"),
        ("昔「あ」い", 3, "昔"),
        (r"昔\[い", 2, "昔"),
        (r"one \*two", 5, "one"),
        ("👨\u200d👩\u200d👧👨\u200d👩\u200d👧", 12, "👨\u200d👩\u200d👧"),
        ("か\u3099き", 1, ""),
        ("a" * 300, 250, "a" * 200),
        ("😀" * 300, 401, "😀" * 200),
        ("one", 0, ""),
        ("one", -5, ""),
    ],
)
def test_a_text_is_cut_between_words_and_within_no_character(
    text: str, room: int, kept: str
) -> None:
    assert cut(text, room) == kept


def test_a_cut_text_fits_and_ends_with_a_whole_character_and_a_whole_escape() -> None:
    for number, text in enumerate(texts(3000)):
        seen = escaped(text)
        kept = cut(seen, number % 60)
        assert units(kept) <= number % 60
        assert seen.startswith(kept)
        ends = itertools.accumulate(map(len, regex.findall(r"\X", seen)), initial=0)
        assert len(kept) in ends, ascii(seen)
        assert (len(kept) - len(kept.rstrip("\\"))) % 2 == 0
