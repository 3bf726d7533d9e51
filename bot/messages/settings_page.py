"""A server's settings as one message: a page a subject, drawn anew after each change.

`bot.components.settings` answers what is pressed. What a control changes is in its custom id, so
the message works for as long as Discord shows it, whether or not the bot was started anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

import discord
from discord import ui

from bot.database.guild_settings import HOURS, MOST_CHANNELS, MOST_WORDS, GuildSettings
from bot.database.tables import Length
from bot.locales import LANGUAGES, say, say_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bot.config import Queue as QueueSettings

T = TypeVar("T")

CHOICES = 25
"""Options that one of Discord's menus takes."""
DEFAULT = "-"
"""The option that chooses nothing of one's own: the host's, or Discord's."""
WRITABLE = [
    discord.ChannelType.text,
    discord.ChannelType.news,
    discord.ChannelType.voice,
    discord.ChannelType.public_thread,
    discord.ChannelType.private_thread,
]
ASKABLE = [*WRITABLE, discord.ChannelType.forum, discord.ChannelType.stage_voice]


class Page(StrEnum):
    """What is shown together."""

    PLACES = "places"
    STORIES = "stories"
    LIMITS = "limits"
    WORDS = "words"
    DAILY = "daily"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the settings of a server are drawn from."""

    settings: GuildSettings
    model: str | None
    """Who tells in the whole server; None: the host's choice."""
    models: Sequence[str]
    """Who could."""
    moods: Sequence[str]
    """Those that the host has."""
    host: QueueSettings
    """The host's limits, above which no server goes."""
    is_there: Callable[[int], bool]
    """Whether a channel still exists: Discord takes no menu that shows another."""


def control_id(what: str, which: str = "") -> str:
    """The custom id of a control that changes `what`, to `which` if it has one answer only."""
    return f"kataribe:settings:{what}" + (f":{which}" if which else "")


def settings_message(page: Page, shown: Shown) -> ui.LayoutView:
    """One page of a server's settings, with the way to the others."""
    of: dict[Page, Callable[[Shown], Iterator[ui.Item[ui.LayoutView]]]] = {
        Page.PLACES: _places,
        Page.STORIES: _stories,
        Page.LIMITS: _limits,
        Page.WORDS: _words,
        Page.DAILY: _daily,
    }
    ways = (_way(other, here=other is page) for other in Page)
    view = ui.LayoutView(timeout=None)
    view.add_item(
        ui.Container(
            ui.TextDisplay(say("settings.title")),
            ui.ActionRow(*ways),
            ui.Separator(),
            *of[page](shown),
        )
    )
    return view


def _way(page: Page, *, here: bool) -> ui.Button[ui.LayoutView]:
    style = discord.ButtonStyle.primary if here else discord.ButtonStyle.secondary
    label = say(f"settings.{page}")
    return ui.Button(label=label, style=style, custom_id=control_id("page", page), disabled=here)


def _places(shown: Shown) -> Iterator[ui.Item[ui.LayoutView]]:
    settings = shown.settings
    yield ui.TextDisplay(say("settings.story_channels"))
    yield _channels("story_channels", shown, settings.story_channels, ASKABLE, MOST_CHANNELS)
    yield ui.TextDisplay(say("settings.log_channel"))
    yield _channels("log_channel", shown, _one(settings.log_channel), WRITABLE, 1)
    yield ui.TextDisplay(say("settings.language"))
    options = {DEFAULT: say("settings.discords_language")}
    options |= {language: say(f"language.{language}") for language in LANGUAGES}
    yield _menu("language", options, [settings.language or DEFAULT])


def _stories(shown: Shown) -> Iterator[ui.Item[ui.LayoutView]]:
    settings = shown.settings
    yield ui.TextDisplay(say("settings.model"))
    # The chosen one stands in the menu, however many there are.
    names = dict.fromkeys((*_one(shown.model), *shown.models))
    options = {DEFAULT: say("settings.hosts_model")}
    options |= {name: name for name in list(names)[: CHOICES - 1]}
    yield _menu("model", options, [shown.model or DEFAULT])
    yield from _switch("announce_model", on=settings.announce_model)
    if shown.moods:
        yield ui.TextDisplay(say("settings.moods"))
        moods = {mood: mood for mood in shown.moods[:CHOICES]}
        yield _menu("moods", moods, settings.moods, least=0, most=len(moods))
    yield ui.TextDisplay(say("settings.length"))
    lengths = {DEFAULT: say("settings.hosts_length")}
    lengths |= {length: say(f"settings.{length}") for length in Length}
    yield _menu("length", lengths, [settings.length or DEFAULT])
    yield ui.TextDisplay(say("settings.look"))
    looks = {look: say(f"settings.{look}") for look in ("framed", "plain")}
    yield _menu("plain", looks, ["plain" if settings.plain else "framed"])


def _limits(shown: Shown) -> Iterator[ui.Item[ui.LayoutView]]:
    settings, host = shown.settings, shown.host
    pause = say("settings.seconds", count=settings.cooldown)
    at_once = min(settings.per_member or host.per_member, host.per_member)
    server = min(settings.per_server or host.per_server, host.per_server)
    lines = [
        say("settings.cooldown", value=pause if settings.cooldown else say("settings.no_pause")),
        say("settings.quota", value=_quota(settings.quota)),
        say("settings.per_member", value=say_number(at_once)),
        say("settings.per_server", value=say_number(server)),
    ]
    yield ui.TextDisplay("\n".join(lines))
    yield _button("limits")
    quotas = [
        say("settings.role_quota", role=role, value=_quota(quota))
        for role, quota in settings.role_quotas.items()
    ]
    listed = "\n".join(quotas) or say("settings.no_role_quotas")
    yield ui.TextDisplay(say("settings.role_quotas", quotas=listed))
    roles: ui.RoleSelect[ui.LayoutView] = ui.RoleSelect(
        custom_id=control_id("role_quota"), placeholder=say("settings.choose")
    )
    yield ui.ActionRow(roles)


def _words(shown: Shown) -> Iterator[ui.Item[ui.LayoutView]]:
    count = len(shown.settings.filter_words)
    yield ui.TextDisplay(say("settings.filter_words", count=count, most=MOST_WORDS))
    yield _button("filter_words")
    yield from _switch("learning", on=shown.settings.learning)


def _daily(shown: Shown) -> Iterator[ui.Item[ui.LayoutView]]:
    settings = shown.settings
    yield ui.TextDisplay(say("settings.daily_channel"))
    yield _channels("daily_channel", shown, _one(settings.daily_channel), WRITABLE, 1)
    yield ui.TextDisplay(say("settings.daily_hour"))
    hours = {str(hour): say("settings.hour", hour=hour) for hour in HOURS}
    yield _menu("daily_hour", hours, [str(settings.daily_hour)])


def _one(value: T | None) -> tuple[T, ...]:
    return () if value is None else (value,)


def _quota(quota: int) -> str:
    return say_number(quota) if quota else say("settings.unlimited")


def _menu(
    what: str, options: dict[str, str], chosen: Sequence[str], *, least: int = 1, most: int = 1
) -> ui.ActionRow[ui.LayoutView]:
    """A menu of values and what they are called."""
    menu: ui.Select[ui.LayoutView] = ui.Select(
        custom_id=control_id(what),
        placeholder=say("settings.choose"),
        min_values=least,
        max_values=most,
        options=[
            discord.SelectOption(label=label, value=value, default=value in chosen)
            for value, label in options.items()
        ],
    )
    return ui.ActionRow(menu)


def _channels(
    what: str, shown: Shown, chosen: Sequence[int], types: list[discord.ChannelType], most: int
) -> ui.ActionRow[ui.LayoutView]:
    kind = discord.SelectDefaultValueType.channel
    menu: ui.ChannelSelect[ui.LayoutView] = ui.ChannelSelect(
        custom_id=control_id(what),
        placeholder=say("settings.choose"),
        channel_types=types,
        min_values=0,
        max_values=most,
        default_values=[
            discord.SelectDefaultValue(id=channel_id, type=kind)
            for channel_id in chosen
            if shown.is_there(channel_id)
        ],
    )
    return ui.ActionRow(menu)


def _button(what: str) -> ui.ActionRow[ui.LayoutView]:
    """A button that opens a form."""
    return ui.ActionRow(ui.Button(label=say("settings.change"), custom_id=control_id(what)))


def _switch(what: str, *, on: bool) -> Iterator[ui.Item[ui.LayoutView]]:
    """What is on or off, and the button that makes it the other; two presses do not undo it."""
    now = say("settings.on" if on else "settings.off")
    turn: ui.Button[ui.LayoutView] = ui.Button(
        label=say("settings.turn_off" if on else "settings.turn_on"),
        custom_id=control_id(what, "off" if on else "on"),
    )
    yield ui.Section(ui.TextDisplay(say(f"settings.{what}", state=now)), accessory=turn)
