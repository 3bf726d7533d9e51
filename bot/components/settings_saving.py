"""What a control and a form of `/settings` have in common: save, and show the page as it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from bot.apologies import SettingRefusedError
from bot.authority import moderated_guild
from bot.messages.settings_page import Page, settings_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import discord

    from bot.client import Kataribe
    from bot.database.guild_settings import GuildSettings


async def change(
    interaction: discord.Interaction[Kataribe],
    chosen: Callable[[GuildSettings], Mapping[str, object]],
) -> None:
    """Save what was chosen; see `Guilds.change_by`.

    Raises:
        SettingRefusedError: A client sent what no control of ours offers.
    """
    guild_id = moderated_guild(interaction)
    try:
        await interaction.client.services.guilds.change_by(guild_id, interaction.user.id, chosen)
    except ValidationError as error:
        raise SettingRefusedError(str(error)) from error


async def redraw(interaction: discord.Interaction[Kataribe], guild_id: int, page: Page) -> None:
    """Show the page as it is now, in the message that was pressed; or one that was pressed since.

    Two presses may be answered in any order, and the older one's page must not come back.
    """
    services, guild = interaction.client.services, interaction.client.get_guild(guild_id)
    assert interaction.message is not None  # noqa: S101  # the one with the control, or its form
    async with services.newest_pages.turned(interaction.message.id, interaction.id, page) as newest:
        shown = await services.shown_settings(
            guild_id, lambda channel_id: bool(guild and guild.get_channel_or_thread(channel_id))
        )
        # Under a refusal, which was written again, the page takes the sentence's place.
        view = settings_message(newest, shown)
        await interaction.response.edit_message(content=None, view=view)
