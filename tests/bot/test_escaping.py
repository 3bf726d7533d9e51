"""Text that Discord shows letter for letter."""

from __future__ import annotations

import pytest

from bot.safety.escaping import escaped


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
    ],
)
def test_text_is_seen_letter_for_letter(told: str, seen: str) -> None:
    assert escaped(told) == seen
