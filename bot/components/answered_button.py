"""A button that is under no story itself, such as in a menu: whatever goes wrong is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from discord import ui

from bot.answering import Answering
from bot.apologies import apologise

if TYPE_CHECKING:
    import re

    import discord

    from bot.client import Kataribe


class AnsweredButton(Answering, ui.DynamicItem[ui.Button[Any]], template=r"(?!)"):
    """Found by its custom id, which has the number of what it acts on, and perhaps more."""

    def __init__(self, item: ui.Button[Any], number: int, groups: dict[str, str]) -> None:
        super().__init__(item)
        self.number = number
        self.groups = groups

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the button back from what Discord sends when it is pressed."""
        del interaction
        assert isinstance(item, ui.Button)  # noqa: S101  # nothing else has these custom ids
        return cls(item, int(match["number"]), match.groupdict())

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Act; discord.py only logs what a dynamic item raises, so nothing may get away."""
        try:
            await self.pressed(interaction)
        except Exception as error:  # noqa: BLE001  # answered, and logged if nobody foresaw it
            await apologise(interaction, error)

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """What the button is for."""
        raise NotImplementedError
