"""What members can ask the bot for; one file for each family of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.commands.duel import contrast, duel
from bot.commands.from_message import from_message
from bot.commands.help import about, help_command
from bot.commands.host import Host
from bot.commands.model import Model
from bot.commands.moderation import remove_story, reports
from bot.commands.muting import asked, audit, mute, unmute
from bot.commands.openings import OpeningsGroup
from bot.commands.privacy import privacy
from bot.commands.ranking import ranking
from bot.commands.settings import settings
from bot.commands.stats import stats
from bot.commands.stories import Stories
from bot.commands.story import story

if TYPE_CHECKING:
    from discord import app_commands

EVERY: tuple[
    app_commands.Command[Any, ..., Any] | app_commands.Group | app_commands.ContextMenu, ...
] = (
    story,
    duel,
    contrast,
    from_message,
    Model(),
    Stories(),
    ranking,
    stats,
    Host(),
    settings,
    reports,
    remove_story,
    audit,
    asked,
    mute,
    unmute,
    help_command,
    about,
    OpeningsGroup(),
    privacy,
)
