"""What a member decides about what is kept of them: **Export**, **Delete all of mine**.

The buttons stand in messages that only one member sees, and act on whoever presses them.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import discord

from bot.apologies import ExportingError
from bot.components.press import Button, Press
from bot.forgetting import exported, forget
from bot.locales import say
from bot.messages import privacy

if TYPE_CHECKING:
    from bot.client import Kataribe


class Export(Press[Button], template=privacy.EXPORT_ID):
    """Everything that is kept of the member, as a file for them alone."""

    def __init__(self) -> None:
        super().__init__(privacy.export())

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Collect it, which may take a while, and send it; the next member's comes after it.

        Raises:
            ExportingError: A press of theirs is at it.
        """
        client, member_id = interaction.client, interaction.user.id
        if member_id in client.exporting:
            raise ExportingError(f"member {member_id} waits for a file already")
        client.exporting.add(member_id)
        try:
            await interaction.response.defer(ephemeral=True, thinking=True)
            async with client.collecting:
                limit = interaction.filesize_limit
                name, content = await exported(client.services, member_id, limit)
                file = discord.File(io.BytesIO(content), name)
                await interaction.followup.send(say("privacy.exported"), file=file, ephemeral=True)
        finally:
            client.exporting.discard(member_id)


class DeleteMine(Press[Button], template=privacy.DELETE_ID):
    """Asks once more, and how."""

    def __init__(self) -> None:
        super().__init__(privacy.delete())

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Show what would be deleted, and what not."""
        embed, view = privacy.asked_once_more()
        await interaction.response.edit_message(embed=embed, view=view)


class Back(Press[Button], template=privacy.BACK_ID):
    """Nothing is deleted."""

    def __init__(self) -> None:
        super().__init__(privacy.back())

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Show again what is kept."""
        await interaction.response.edit_message(
            embed=privacy.what_is_kept(interaction.client.services.settings),
            view=privacy.offered(),
        )


class Forget(Press[Button], template=r"kataribe:privacy:forget:(?P<how>nameless|words)"):
    """Deletes everything of who pressed, with their stories' words or without their name."""

    def __init__(self, how: str) -> None:
        self.words = how == "words"
        super().__init__(privacy.forget(privacy.WORDS_ID if self.words else privacy.NAMELESS_ID))

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Say that it is being done, do it, say that it is done."""
        await interaction.response.edit_message(embed=privacy.said("privacy.deleting"), view=None)
        interaction.client.drafts.forget(interaction.user.id)
        await forget(interaction.client.services, interaction.user.id, words=self.words)
        await interaction.edit_original_response(embed=privacy.said("privacy.deleted"))
