"""The forms of `/settings`: what is typed and not chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discord import TextStyle, ui

from bot.answering import Form
from bot.apologies import NumberRefusedError, TooManyError
from bot.authority import moderated_guild
from bot.components.settings_saving import change, redraw
from bot.database.guild_settings import (
    LARGEST_QUOTA,
    LONGEST_COOLDOWN,
    LONGEST_WORD,
    MOST_QUOTAS,
    MOST_WORDS,
    SHORTEST_WORD,
)
from bot.locales import say
from bot.messages.settings_page import Page
from bot.safety.own_words import checked_word

if TYPE_CHECKING:
    import discord

    from bot.config import Queue as QueueSettings
    from bot.database.guild_settings import GuildSettings

NUMBER_LIMIT = 10
"""Characters of a number that is typed."""
FILTER_LIMIT = 4000
"""Characters of a form's longest field."""


class SettingsForm(Form):
    """A form that changes settings and redraws the page it was opened from."""

    page: Page

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Save what was typed, if who typed it still may."""
        guild_id = moderated_guild(interaction)
        await change(interaction, self.changes)
        await redraw(interaction, guild_id, self.page)

    def changes(self, settings: GuildSettings) -> dict[str, object]:
        """What was typed, as settings; beside it what others have set up to now."""
        raise NotImplementedError


class LimitsForm(SettingsForm):
    """How much a member, and the server, may ask for."""

    page = Page.LIMITS

    def __init__(self, settings: GuildSettings, host: QueueSettings) -> None:
        super().__init__(title=say("settings.modal.limits"))
        self._of = settings, host
        unlimited = say("settings.modal.empty_is_unlimited")
        self._bounds = {
            "cooldown": (0, LONGEST_COOLDOWN, 0, say("settings.modal.empty_is_none")),
            "quota": (0, LARGEST_QUOTA, 0, unlimited),
            "per_member": (1, host.per_member, None, _as_host(host.per_member)),
            "per_server": (1, host.per_server, None, _as_host(host.per_server)),
        }
        self._fields = {
            name: _number_field(getattr(settings, name) or None, hint)
            for name, (_, _, _, hint) in self._bounds.items()
        }
        for name, field in self._fields.items():
            self.add_item(ui.Label(text=say(f"settings.modal.{name}"), component=field))

    def anew(self) -> LimitsForm:
        """Give it once more."""
        return LimitsForm(*self._of)

    def changes(self, settings: GuildSettings) -> dict[str, object]:
        """The four numbers."""
        del settings
        return {
            name: _number(self._fields[name], low, high, empty)
            for name, (low, high, empty, _) in self._bounds.items()
        }


class RoleQuotaForm(SettingsForm):
    """How many stories a day those may ask for who have a role."""

    page = Page.LIMITS

    def __init__(self, settings: GuildSettings, role_id: int) -> None:
        super().__init__(title=say("settings.modal.role_quota"))
        self._settings = settings
        self._role_id = role_id
        self._field = _number_field(settings.role_quotas.get(role_id), "")
        label = say("settings.modal.role_quota_label")
        self.add_item(ui.Label(text=label, component=self._field))

    def anew(self) -> RoleQuotaForm:
        """Give it once more."""
        return RoleQuotaForm(self._settings, self._role_id)

    def changes(self, settings: GuildSettings) -> dict[str, object]:
        """All quotas, with this one put in or taken out."""
        quotas = {role: n for role, n in settings.role_quotas.items() if role != self._role_id}
        quota = _number(self._field, 1, LARGEST_QUOTA, None)
        if quota is not None:
            quotas[self._role_id] = quota
        if len(quotas) > MOST_QUOTAS:
            raise TooManyError("sorry.setting.quotas", most=MOST_QUOTAS)
        return {"role_quotas": quotas}


class FilterForm(SettingsForm):
    """The words that are not told in a server, one on each line."""

    page = Page.WORDS

    def __init__(self, settings: GuildSettings) -> None:
        super().__init__(title=say("settings.modal.filter_words"))
        self._settings = settings
        self._field: ui.TextInput[Any] = ui.TextInput(
            style=TextStyle.paragraph,
            default="\n".join(settings.filter_words) or None,
            required=False,
            max_length=FILTER_LIMIT,
        )
        label = say("settings.modal.filter_words_label")
        self.add_item(ui.Label(text=label, component=self._field))

    def anew(self) -> FilterForm:
        """Give it once more."""
        return FilterForm(self._settings)

    def changes(self, settings: GuildSettings) -> dict[str, object]:
        """The words, each once."""
        del settings
        lines = filter(str.strip, self._field.value.splitlines())
        words = tuple(dict.fromkeys(checked_word(line) for line in lines))
        fit = all(SHORTEST_WORD <= len(word) <= LONGEST_WORD for word in words)
        if not fit or len(words) > MOST_WORDS:
            raise TooManyError(
                "sorry.setting.words", most=MOST_WORDS, shortest=SHORTEST_WORD, longest=LONGEST_WORD
            )
        return {"filter_words": words}


def _as_host(most: int) -> str:
    return say("settings.modal.empty_is_host", most=most)


def _number_field(value: int | None, hint: str) -> ui.TextInput[Any]:
    return ui.TextInput(
        default=None if value is None else str(value),
        placeholder=hint or None,
        required=False,
        max_length=NUMBER_LIMIT,
    )


def _number(field: ui.TextInput[Any], low: int, high: int, empty: int | None) -> int | None:
    """What was typed into a field; `empty` where it was nothing."""
    typed = field.value.strip()
    if not typed:
        return empty
    # Digits of any script are digits; what int() takes beside them (1_000, +5) is not meant.
    if not (typed.isdecimal() and low <= int(typed) <= high):
        raise NumberRefusedError(typed, low, high)
    return int(typed)
