"""What every button and menu does: read itself back from its custom id, act, answer the member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from discord import ui

from bot.answering import Answering
from bot.apologies import NoSuchChoiceError, apologise
from bot.database.columns import LARGEST

if TYPE_CHECKING:
    import re

    import discord

    from bot.client import Kataribe

Item = TypeVar("Item", bound="ui.Item[Any]")
Button = ui.Button[ui.View]


def number(digits: str) -> int:
    """Read a number that a client sent; of what is too large for every table nobody has a row."""
    return min(int(digits), LARGEST)


def chosen(menu: ui.Select[Any]) -> str:
    """Give the one thing that was chosen in a menu.

    Raises:
        NoSuchChoiceError: A client sent none, or several.
    """
    if len(menu.values) != 1:
        raise NoSuchChoiceError(menu.custom_id)
    return menu.values[0]


class Pressable(Answering, ui.DynamicItem[Item], template=r"(?!)"):
    """Found by its custom id, the groups of which are what `__init__` takes, digits as numbers."""

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read it back from what Discord sends when it is pressed."""
        del interaction, item
        given = [number(group) if group.isdigit() else group for group in match.groups()]
        return cls(*given)  # type: ignore[arg-type]  # each item's own


class Press(Pressable[Item], template=r"(?!)"):
    """One that belongs to no story's message."""

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Act; discord.py only logs what a dynamic item raises, so nothing may get away."""
        try:
            await self.pressed(interaction)
        except Exception as error:  # noqa: BLE001  # answered, and logged if nobody foresaw it
            await apologise(interaction, error)

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """What it is for."""
        raise NotImplementedError


class NumberedButton(Press[ui.Button[Any]], template=r"(?!)"):
    """Stays as it is drawn; its custom id has the number of what it acts on, perhaps more."""

    def __init__(self, item: ui.Button[Any], number: int, groups: dict[str, str]) -> None:
        super().__init__(item)
        self.number = number
        self.groups = groups

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Keep the button that was pressed."""
        del interaction
        assert isinstance(item, ui.Button)  # noqa: S101  # nothing else has these custom ids
        return cls(item, number(match["number"]), match.groupdict())
