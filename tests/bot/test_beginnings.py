"""What a member may begin a story with."""

from __future__ import annotations

import pytest

from bot.safety.beginnings import PromptRefusedError, Refusal, checked_prompt


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
    ],
)
def test_a_beginning_is_kept_on_one_line_without_invisible_characters(
    given: str, kept: str
) -> None:
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
        ("<a:wave:123>", Refusal.MENTION),
        ("<t:1700000000:R>", Refusal.MENTION),
        ("@Everyone!", Refusal.MENTION),
        ("@\u200bhere", Refusal.MENTION),
    ],
)
def test_invites_links_and_mentions_are_no_beginning(given: str, refusal: Refusal) -> None:
    with pytest.raises(PromptRefusedError) as refused:
        checked_prompt(given, 400)
    assert refused.value.refusal is refusal


def test_the_limit_counts_what_is_kept() -> None:
    assert checked_prompt(" x  x ", 3) == "x x"
    with pytest.raises(PromptRefusedError) as refused:
        checked_prompt("x x x", 4)
    assert (refused.value.length, refused.value.limit) == (5, 4)
