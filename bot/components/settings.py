"""What moderators press and choose in `/settings`: each changes one thing and redraws the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.announcing import said_in
from bot.apologies import SettingRefusedError
from bot.authority import moderated_guild
from bot.components.press import Press, number
from bot.components.settings_forms import FilterForm, LimitsForm, RoleQuotaForm
from bot.components.settings_saving import change, redraw
from bot.locales import LANGUAGES, say, speaking
from bot.messages.settings_page import DEFAULT, Page

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from bot.client import Kataribe


@dataclass(frozen=True, slots=True)
class _Choice:
    """What a menu or a switch changes."""

    page: Page
    """Where it stands."""
    read: Callable[[list[str]], object]
    """From what was chosen to the setting."""


def _numbers(values: list[str]) -> tuple[int, ...]:
    """Read numbers, of which Discord sends its own and a client what it likes.

    Raises:
        SettingRefusedError: Something else is among them.
    """
    if not all(value.isdecimal() for value in values):
        raise SettingRefusedError(f"no numbers: {values}")
    return tuple(map(number, values))


def _first(values: list[str]) -> int | None:
    return next(iter(_numbers(values)), None)


def _one(values: list[str]) -> int:
    if len(values) != 1:
        raise SettingRefusedError(f"not one of several: {values}")
    return _numbers(values)[0]


def _page(name: str | None) -> Page:
    try:
        return Page(name or "")
    except ValueError as error:
        raise SettingRefusedError(f"no page {name!r}") from error


def _own(values: list[str]) -> str | None:
    if not values:
        raise SettingRefusedError("nothing was chosen")
    return None if values[0] == DEFAULT else values[0]


_CHOICES = {
    "story_channels": _Choice(Page.PLACES, _numbers),
    "log_channel": _Choice(Page.PLACES, _first),
    "language": _Choice(Page.PLACES, _own),
    "announce_model": _Choice(Page.STORIES, lambda values: values == ["on"]),
    "moods": _Choice(Page.STORIES, tuple),
    "length": _Choice(Page.STORIES, _own),
    "plain": _Choice(Page.STORIES, lambda values: values == ["plain"]),
    "learning": _Choice(Page.WORDS, lambda values: values == ["on"]),
    "daily_channel": _Choice(Page.DAILY, _first),
    "daily_hour": _Choice(Page.DAILY, _first),
}


_CHANNELS = {"story_channels", "log_channel", "daily_channel"}


def _check_channels(
    interaction: discord.Interaction[Kataribe], guild_id: int, values: list[str]
) -> None:
    """Let a moderator choose none of another server's channels: the bot would write there.

    One that the bot does not know, such as an archived thread, is no other server's.

    Raises:
        SettingRefusedError: They did.
    """
    for channel in (interaction.client.get_channel(value) for value in _numbers(values)):
        guild = getattr(channel, "guild", None)
        if channel is not None and (guild is None or guild.id != guild_id):
            raise SettingRefusedError(f"channel {channel.id} is not of server {guild_id}")


class SettingsControl(
    Press[ui.Item[Any]],
    template=r"kataribe:settings:(?P<what>[a-z_]{1,30})(?::(?P<which>[a-z]{1,20}))?",
):
    """Any control of `bot.messages.settings_page`, found by its custom id."""

    def __init__(self, item: ui.Item[Any], what: str, which: str | None) -> None:
        super().__init__(item)
        self.what = what
        self.which = which

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the control back from what Discord sends when it is used."""
        del interaction
        return cls(item, match["what"], match["which"])

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Change what it is for, if who uses it still may."""
        guild_id = moderated_guild(interaction)
        services = interaction.client.services
        data: Any = interaction.data
        values: list[str] = data.get("values", [])
        match self.what:
            case "page":
                page = _page(self.which)
            case "limits":
                settings = await services.guilds.settings(guild_id)
                await interaction.response.send_modal(LimitsForm(settings, services.settings.queue))
                return
            case "role_quota":
                settings = await services.guilds.settings(guild_id)
                await interaction.response.send_modal(RoleQuotaForm(settings, _one(values)))
                return
            case "filter_words":
                settings = await services.guilds.settings(guild_id)
                await interaction.response.send_modal(FilterForm(settings))
                return
            case "model":
                await _let_tell(interaction, guild_id, _own(values))
                return
            case what if what in _CHOICES:
                chosen = [self.which] if self.which is not None else values
                page = _CHOICES[what].page
                if what in _CHANNELS:
                    _check_channels(interaction, guild_id, chosen)
                # What is saved stands in the trail, where a word of a client's would read as more.
                offered = {"moods": services.settings.moods, "language": [DEFAULT, *LANGUAGES]}
                if not set(chosen) <= set(offered.get(what, chosen)):
                    raise SettingRefusedError(f"{what} is none of {chosen}")
                read = _CHOICES[what].read(chosen)
                await change(interaction, lambda _: {what: read})
            case _:
                raise SettingRefusedError(f"no setting {self.what!r}")
        await redraw(interaction, guild_id, page)


async def _let_tell(
    interaction: discord.Interaction[Kataribe], guild_id: int, model: str | None
) -> None:
    """Let a model tell in the server; said in the channel as `/model use` would, if it can be."""
    services = interaction.client.services
    if model is not None:
        model = await services.catalogue.find(model)
    await services.guilds.use_model(guild_id, model, interaction.user.id)
    await redraw(interaction, guild_id, Page.STORIES)
    if not (await services.guilds.settings(guild_id)).announce_model:
        return
    with speaking(await services.language(guild_id, interaction.guild_locale)):
        aloud = await services.said_of_teller(model)
    assert interaction.channel_id is not None  # noqa: S101  # it was pressed in one
    if not await said_in(interaction.client, guild_id, interaction.channel_id, aloud):
        await interaction.followup.send(say("model.not_announced"), ephemeral=True)
