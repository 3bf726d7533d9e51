"""What may be asked, and what may be shown."""

from __future__ import annotations

import pytest

from bot.safety.moderation import PromptRefusedError, Refusal, checked_prompt, shown


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
        ("<@1> <:a:1>", r"\<@1> \<:a:1>"),
        ("@here discord.gg/x www.x", "@\u200bhere discord\u200b.gg/x www\u200b.x"),
        ("\u202eevil", "evil"),
    ],
)
def test_text_is_seen_letter_for_letter(told: str, seen: str) -> None:
    assert shown(told) == seen
