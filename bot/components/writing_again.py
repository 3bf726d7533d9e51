"""**Write again** under a refusal: the form that was sent, with what was typed into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.answering import write_again
from bot.apologies import FormGoneError
from bot.components.press import Button, Press

if TYPE_CHECKING:
    import discord

    from bot.client import Kataribe


class WriteAgain(Press[Button], template=r"kataribe:write:(?P<number>\d{1,19})"):
    """For who typed it alone."""

    def __init__(self, number: int) -> None:
        super().__init__(write_again(number))
        self.number = number

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Open it, as often as they like."""
        form = interaction.client.drafts.of(self.number, interaction.user.id)
        if form is None:
            raise FormGoneError(f"nothing typed in interaction {self.number}")
        await interaction.response.send_modal(form.again())
