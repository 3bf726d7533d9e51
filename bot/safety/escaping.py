"""Text that Discord shows letter for letter."""

from __future__ import annotations

import re

from bot.safety.visible import visible

_MARKDOWN = re.compile(r"[\\*_~|`<\[]|(?<![^\n])[#>+-]")
_LIST_NUMBER = re.compile(r"^(\d+)([.)])", re.MULTILINE)
_LIVE = re.compile(
    r"(?<=@)(?=everyone|here)|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=discord)(?=\.(?:gg|com))",
    re.IGNORECASE,
)
"""Where a zero-width space keeps Discord from making a mention or a link."""


def escaped(text: str) -> str:
    """Text as Discord shows it letter for letter: no markdown, no mention, no link, no emoji code.

    Text comes from members and models; neither may format, ping or link in the bot's name.
    """
    text = "".join(visible(text, keep="\n"))
    text = re.sub(r"\n[ \t]+", "\n", text)
    text = _MARKDOWN.sub(r"\\\g<0>", text)
    text = _LIST_NUMBER.sub(r"\1\\\2", text)
    return _LIVE.sub("\u200b", text)
