"""**Tell it** under the beginning of the day; **Accept** and **Refuse** under a proposal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord

from bot.apologies import NotModeratorError, OpeningGoneError
from bot.asking import ask, places, wish_of
from bot.components.press import Button, Press
from bot.locales import say
from bot.messages import notices
from bot.openings import numbered

if TYPE_CHECKING:
    from bot.client import Kataribe


class Begin(Press[Button], template=r"kataribe:begin:(?P<whose>house|own):(?P<number>\d{1,19})"):
    """A story from the beginning of the day, for whoever pressed."""

    def __init__(self, whose: str, number: int) -> None:
        super().__init__(notices.begin(f"kataribe:begin:{whose}:{number}"))
        self.house = whose == "house"
        self.number = number

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Ask for it."""
        services = interaction.client.services
        if self.house:
            text = numbered(self.number)
        else:
            opening = await services.openings.get(self.number, interaction.guild_id)
            text = opening.text if opening else None
        if text is None:
            raise OpeningGoneError(f"no opening {self.number}")
        wish = wish_of(
            interaction,
            prompt=text,
            house_opening=self.house,
            model=await services.teller(interaction.guild_id, *places(interaction)),
            length=await services.length(interaction.guild_id),
        )
        await ask(interaction, wish, introduction="notice.asked")


class Decide(
    Press[Button],
    template=r"kataribe:opening:(?P<how>accept|refuse):(?P<number>\d{1,19})",
):
    """A moderator's decision about a proposal; then the next one is shown."""

    def __init__(self, how: str, number: int) -> None:
        self.accepted = how == "accept"
        self.number = number
        super().__init__(notices.decide(self.number, accepted=self.accepted))

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Decide, and go on with what waits."""
        if interaction.guild_id is None or not interaction.permissions.manage_guild:
            raise NotModeratorError(f"member {interaction.user.id} may not manage the server")
        openings = interaction.client.services.openings
        # Another may have decided since this message was drawn, and that stands.
        await openings.decide(
            self.number,
            interaction.guild_id,
            interaction.user.id,
            accepted=self.accepted,
            waits=True,
        )
        opening, count = await openings.waiting(interaction.guild_id)
        if opening is None:
            done = discord.Embed(description=say("opening.review.done"))
            await interaction.response.edit_message(embed=done, view=None)
        else:
            embed, view = notices.proposal(opening, count)
            await interaction.response.edit_message(embed=embed, view=view)
