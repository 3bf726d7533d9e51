"""What is not a story: an embed with buttons under it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import discord
    from discord import ui


class Framed(NamedTuple):
    """A message, as discord.py takes it."""

    embed: discord.Embed
    view: ui.View
