"""What every button that belongs to no story does: act, and answer the member in any case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from discord import ui

from bot.answering import Answering
from bot.apologies import apologise

if TYPE_CHECKING:
    import re

    import discord

    from bot.client import Kataribe


class Press(Answering, ui.DynamicItem[ui.Button[ui.View]], template=r"(?!)"):
    """A button found by its custom id; the groups of its template are what `__init__` takes."""

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the button back from what Discord sends when it is pressed."""
        del interaction, item
        return cls(*match.groups())  # type: ignore[arg-type]  # each button's own

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Act; discord.py only logs what a dynamic item raises, so nothing may get away."""
        try:
            await self.pressed(interaction)
        except Exception as error:  # noqa: BLE001  # answered, and logged if nobody foresaw it
            await apologise(interaction, error)

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """What the button is for."""
        raise NotImplementedError
