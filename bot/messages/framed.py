"""What is not a story: an embed with buttons under it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bot.locales import say

if TYPE_CHECKING:
    import discord
    from discord import ui


class Framed(NamedTuple):
    """A message, as discord.py takes it."""

    embed: discord.Embed
    view: ui.View


def whom(member_id: int | None) -> str:
    """A member in a text, to be clicked; one who wanted to be forgotten is somebody."""
    return f"<@{member_id}>" if member_id else say("member.forgotten")
