"""What a member is shown about what is kept of them, and the buttons below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import ui

from bot.locales import say

if TYPE_CHECKING:
    from bot.config import Settings

EXPORT_ID = "kataribe:privacy:export"
DELETE_ID = "kataribe:privacy:delete"
BACK_ID = "kataribe:privacy:back"
NAMELESS_ID, WORDS_ID = "kataribe:privacy:forget:nameless", "kataribe:privacy:forget:words"


def export() -> ui.Button[ui.View]:
    """Give me everything."""
    return ui.Button(label=say("button.export"), custom_id=EXPORT_ID)


def delete() -> ui.Button[ui.View]:
    """Delete everything; asks once more."""
    style = discord.ButtonStyle.danger
    return ui.Button(label=say("button.delete_mine"), custom_id=DELETE_ID, style=style)


def forget(custom_id: str) -> ui.Button[ui.View]:
    """Delete everything now; `custom_id` is one of the two ways."""
    key = "button.forget_words" if custom_id == WORDS_ID else "button.forget_name"
    return ui.Button(label=say(key), custom_id=custom_id, style=discord.ButtonStyle.danger)


def back() -> ui.Button[ui.View]:
    """Delete nothing."""
    return ui.Button(label=say("button.keep_mine"), custom_id=BACK_ID)


def what_is_kept(settings: Settings) -> discord.Embed:
    """Say in plain words what is kept, and why, and who else gets anything of it."""
    elsewhere = settings.models or settings.generator.url
    passed_on = say("privacy.passed_on") if elsewhere else say("privacy.nothing_passed_on")
    days = round(settings.privacy.days_after_leaving)
    kept = say("privacy.kept", count=days, passed_on=passed_on)
    return discord.Embed(title=say("privacy.title"), description=kept)


def offered() -> ui.View:
    """The buttons below it."""
    return ui.View(timeout=None).add_item(export()).add_item(delete())


def asked_once_more() -> tuple[discord.Embed, ui.View]:
    """Say what a deletion means, with a button for each way and one for neither."""
    embed = discord.Embed(title=say("privacy.sure.title"), description=say("privacy.sure.text"))
    view = ui.View(timeout=None)
    for button in (forget(NAMELESS_ID), forget(WORDS_ID), back()):
        view.add_item(button)
    return embed, view


def said(key: str) -> discord.Embed:
    """One sentence about a deletion."""
    return discord.Embed(description=say(key))
