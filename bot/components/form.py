"""What every form of ours does: answer whatever goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discord import ui

from bot.apologies import apologise

if TYPE_CHECKING:
    import discord


class Form(ui.Modal):
    """A modal whose errors reach the member as one sentence."""

    async def on_error(  # type: ignore[override]  # discord.py's own modal has no item either
        self, interaction: discord.Interaction[Any], error: Exception, /
    ) -> None:
        """Say what does not fit; discord.py would only log it."""
        await apologise(interaction, error)
