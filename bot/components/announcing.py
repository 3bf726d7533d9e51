"""**Say it**: the host confirms an announcement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.announcing import announce
from bot.authority import require_host
from bot.components.press import NumberedButton
from bot.locales import say

if TYPE_CHECKING:
    import discord

    from bot.client import Kataribe


class SayIt(NumberedButton, template=r"kataribe:announce:(?P<number>\d{1,9})"):
    """What shall be said is in the message with the button."""

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Say it, and then in how many channels it stands."""
        require_host(interaction)
        assert interaction.message is not None  # noqa: S101  # the one with the button
        text = interaction.message.embeds[0].description or ""
        await interaction.response.edit_message(content=say("host.saying"), view=None)
        reached = await announce(interaction.client, text)
        await interaction.edit_original_response(content=say("host.said", count=reached))
