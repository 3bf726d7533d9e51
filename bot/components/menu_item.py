"""What every button and menu does that stands in a message for one member alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from discord import ui

from bot.answering import Answering
from bot.apologies import apologise

if TYPE_CHECKING:
    import re

    import discord

    from bot.client import Kataribe

Item = TypeVar("Item", bound="ui.Item[Any]")


class MenuItem(Answering, ui.DynamicItem[Item], template=r"(?!)"):
    """Found by its custom id, the groups of which are the numbers that its `__init__` takes."""

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read it back from what Discord sends when it is pressed."""
        del interaction, item
        return cls(*map(int, match.groups()))  # type: ignore[arg-type]  # each item's own

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Act; discord.py only logs what a dynamic item raises, so nothing may get away."""
        try:
            await self.pressed(interaction)
        except Exception as error:  # noqa: BLE001  # answered, and logged if not foreseen
            await apologise(interaction, error)

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """What it is for."""
        raise NotImplementedError
