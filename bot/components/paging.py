"""**Older** in what moderators page through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.components.press import NumberedButton, number
from bot.database.trail import Act
from bot.messages.trail_page import ANYTHING
from bot.moderating import asked_for, trail_for

if TYPE_CHECKING:
    import discord

    from bot.client import Kataribe

_ACTS = "|".join([ANYTHING, *(act.replace(" ", "-") for act in Act)])


class OlderTrail(
    NumberedButton,
    template=rf"kataribe:trail:(?P<number>\d{{1,19}}):(?P<act>{_ACTS}):(?P<moderator>\d{{1,19}})",
):
    """The next page of `/audit`, by the same filter."""

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Show it in place of this one."""
        named = self.groups["act"].replace("-", " ")
        drawing = await trail_for(
            interaction,
            before=self.number,
            act=None if named == ANYTHING else Act(named),
            moderator_id=number(self.groups["moderator"]) or None,
        )
        await interaction.response.edit_message(embed=drawing.embed, view=drawing.view)


class OlderAsked(
    NumberedButton, template=r"kataribe:asked:(?P<number>\d{1,19}):(?P<member>\d{1,19})"
):
    """The next page of `/asked`, of the same member."""

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Show it in place of this one."""
        drawing = await asked_for(
            interaction, before=self.number, member_id=number(self.groups["member"]) or None
        )
        await interaction.response.edit_message(embed=drawing.embed, view=drawing.view)
