"""What a member may begin a story with."""

from __future__ import annotations

import unicodedata
from contextlib import suppress

import pytest

from bot.safety.beginnings import PromptRefusedError, Refusal, checked_prompt
from tests.bot.texts import TIRING, texts


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  In   the\tyear \n 2099 ", "In the year 2099"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("bell\x07 and nul\x00", "bell and nul"),
        ("e\u0301te\u0301", "été"),
        ("侍の物語", "侍の物語"),
        ("a family 👨\u200d👩\u200d👧", "a family 👨\u200d👩\u200d👧"),
        ("half a \ud83d pair", "half a pair"),
        ("5 < 6, she said: 3.50", "5 < 6, she said: 3.50"),
        ("mail me @ noon", "mail me @ noon"),
        (" \u200b ", ""),
        ("A <:fox_1:123> and <a:wave:4567>", "A :fox_1: and :wave:"),
        ("<:mo\u200bon:123>rise", ":moon:rise"),
    ],
)
def test_a_beginning_is_kept_on_one_line_without_invisible_characters(
    given: str, kept: str
) -> None:
    assert checked_prompt(given, 400) == kept


@pytest.mark.parametrize(
    "nothing",
    [
        "",
        " \t\n",
        "\u200d",
        "\u200c\u200d \u200b",
        "\u3164",
        "\u2800\u2800",
        "\u115f\u1160",
        "\uffa0",
        "\u180e",
        "\u17b4",
        "\ufe0f",
        "\U000e0100",
        "\U000e0041\U000e007f",
        "\xad",
        "\u034f",
        "\u2066\u2069\u202e",
        "\ud83d",
        "\ue000",
        "\uffff\U0010fffe",
    ],
)
def test_a_beginning_that_nobody_sees_is_none(nothing: str) -> None:
    assert not checked_prompt(nothing, 400)


@pytest.mark.parametrize(
    "spelled",
    [
        "a family 👨\u200d👩\u200d👧",
        "two who kiss 👩🏽\u200d❤\ufe0f\u200d💋\u200d👨🏿",
        "pirates 🏴\u200d☠\ufe0f",
        "England 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f plays",
        "key 1\ufe0f\u20e3",
        "skin 👍🏽 and heart ❤\ufe0f, or ❤\ufe0e",
        "Japan 🇯🇵",
        "Persian \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "Hindi क्\u200dष and नमस्\u200cते",
        "Malayalam ന്\u200d",
        "Thai เรื่อง กี่",
        "Tibetan ཧཱུྃ བསྒྲུབས",
        "Hebrew שָׁלוֹם בְּרֵאשִׁ֖ית",
        "Burmese ကြွှေ့",
        "Vietnamese người Việt",
        "a form of 葛\U000e0100",
        "Mongolian ᠨᠠ᠋ ᠠ\u180eᠠ",
    ],
)
def test_what_is_spelled_with_joiners_marks_or_selectors_stays_whole(spelled: str) -> None:
    assert checked_prompt(spelled, 400) == unicodedata.normalize("NFC", spelled)


@pytest.mark.parametrize("new", ["🩷", "\U0001faef", "\U000323b0", "\u0378", "\U0001faff"])
def test_a_character_newer_than_pythons_tables_or_any_is_kept(new: str) -> None:
    assert checked_prompt(new, 1) == new


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("e" + "\u0301" * 300, "é" + "\u0301" * 3),
        ("x" + "\u0336\u0301" * 150, "x\u0336\u0336\u0301\u0301"),
        ("ก" + "\u0e47" * 300, "ก" + "\u0e47" * 4),
        ("ཀ" + "\u0fb2" * 300, "ཀ" + "\u0fb2" * 8),
        ("👨\u200d" * 9 + "👨", "\u200d".join("👨" * 5) * 2),
        ("x" + "\u200d" * 300 + "y", "xy"),
    ],
)
def test_of_too_many_marks_or_joined_pictures_a_few_stay(given: str, kept: str) -> None:
    assert checked_prompt(given, 400) == kept


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ("DISCORD.GG/x", Refusal.INVITE),
        ("discord.com/invite/x", Refusal.INVITE),
        ("dis\u200bcord.gg/x", Refusal.INVITE),
        ("HTTPS://a.b", Refusal.LINK),
        ("steam://run", Refusal.LINK),
        ("www.example.org", Refusal.LINK),
        ("<@!123>", Refusal.MENTION),
        ("<@&123>", Refusal.MENTION),
        ("<#123>", Refusal.MENTION),
        ("</story:123>", Refusal.MENTION),
        ("<a:wave:>", Refusal.MENTION),
        ("<@<:a:1>123>", Refusal.MENTION),
        ("ht<:tp:1>//a.b", Refusal.LINK),
        ("<t:1700000000:R>", Refusal.MENTION),
        ("@Everyone!", Refusal.MENTION),
        ("@\u200bhere", Refusal.MENTION),
        ("discordapp.com/invite/abc", Refusal.INVITE),
        ("ｄｉｓｃｏｒｄ．ｇｇ／ａｂｃ", Refusal.INVITE),  # noqa: RUF001
        ("𝐝𝐢𝐬𝐜𝐨𝐫𝐝.𝐠𝐠/abc", Refusal.INVITE),  # noqa: RUF001
        ("discord。gg/abc", Refusal.INVITE),
        ("見てhttps://a.b", Refusal.LINK),
        ("見てwww.a.b", Refusal.LINK),
        ("@everyoneです", Refusal.MENTION),
        ("＠ｅｖｅｒｙｏｎｅ", Refusal.MENTION),  # noqa: RUF001
    ],
)
def test_invites_links_and_mentions_are_no_beginning(given: str, refusal: Refusal) -> None:
    with pytest.raises(PromptRefusedError) as refused:
        checked_prompt(given, 400)
    assert refused.value.refusal is refusal


@pytest.mark.parametrize(
    "hidden",
    [
        *"\u200b\u200c\u200d\u2060\u3164\u2800\u115f\uffa0\u180e\ufe0f\xad\u034f\U000e0061\ue000\ud83d"
    ],
)
def test_nothing_invisible_hides_an_invite_a_link_or_a_mention(hidden: str) -> None:
    for plain in ("discord.gg/abc", "https://a.b", "@everyone", "<@123>"):
        with pytest.raises(PromptRefusedError):
            checked_prompt(hidden.join(plain), 400)


@pytest.mark.parametrize(
    "harmless", ["mail me @ noon", "@hereafter", "discord.media", "a://", "She said: //no", "wwwow"]
)
def test_what_only_looks_like_a_link_is_a_beginning(harmless: str) -> None:
    assert checked_prompt(harmless, 400) == harmless


def test_the_limit_counts_what_is_kept() -> None:
    assert checked_prompt(" x  x ", 3) == "x x"
    with pytest.raises(PromptRefusedError) as refused:
        checked_prompt("x x x", 4)
    assert (refused.value.length, refused.value.limit) == (5, 4)


def test_the_limit_counts_what_a_reader_calls_a_character() -> None:
    assert checked_prompt("👨\u200d👩\u200d👧 🇯🇵 क्षि é", 7) == "👨\u200d👩\u200d👧 🇯🇵 क्षि é"
    with pytest.raises(PromptRefusedError):
        checked_prompt("🇯🇵🇯🇵🇯🇵", 2)


@pytest.mark.parametrize("endless", ["क्", "ᄀ", "\u0600", "ཀྵྲྱ", "👨\u200d"])
def test_the_limit_bounds_code_points_too_whatever_joins_them(endless: str) -> None:
    try:
        kept = checked_prompt(endless * 2000, 100)
    except PromptRefusedError:
        return
    assert len(kept) <= 16 * 100


def test_a_kept_beginning_is_kept_as_it_is() -> None:
    for text in texts(3000):
        try:
            kept = checked_prompt(text, 400)
        except PromptRefusedError:
            continue
        assert checked_prompt(kept, 400) == kept, ascii(text)


@pytest.mark.parametrize("part", TIRING)
def test_a_beginning_is_checked_in_time_that_grows_with_it(part: str) -> None:
    with suppress(PromptRefusedError):
        checked_prompt(part * (100_000 // len(part)), 400)
