"""From an exception to one sentence for the member who met it."""

from __future__ import annotations

import logging
import textwrap
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
from discord import app_commands, ui

from bot.database.limits import QueueFullError
from bot.database.mutes import MutedError
from bot.database.ratings import NotToldError, OwnStoryError
from bot.database.reports import ReportedError
from bot.locales import say, say_list
from bot.safety.beginnings import PromptRefusedError
from bot.safety.escaping import escaped
from bot.services import NoStoriesHereError
from bot.worker.catalogue import UnknownModelError
from bot.worker.completions import GeneratorDownError

if TYPE_CHECKING:
    from collections.abc import Sequence

_log = logging.getLogger(__name__)

NAMED = 60
"""Characters of a wrong name that are said back."""
LISTED = 1000
"""Characters of the names that there are; a message takes 2,000."""


class StoryGoneError(Exception):
    """The story of a button is no longer in the database."""


class NotYoursError(Exception):
    """A member who is no moderator would call off somebody else's story."""


class AlreadyOverError(Exception):
    """The story to be called off has ended."""


class NotModeratorError(Exception):
    """The act needs the Manage Server permission."""


class NotYourStoryError(Exception):
    """A member who is no moderator would delete somebody else's story."""


class PrivateReportError(Exception):
    """Moderators would be shown what only its member may see."""


class NoStoryThereError(Exception):
    """The message shows no story of ours."""


class SettingRefusedError(Exception):
    """What was chosen is nothing that can be chosen."""


class NumberRefusedError(Exception):
    """What was typed is no whole number within the bounds."""

    def __init__(self, value: str, low: int, high: int) -> None:
        super().__init__(f"{value!r} is no number from {low} to {high}")
        self.value = value
        self.low = low
        self.high = high


class TooManyError(Exception):
    """There is no room for more of something; `values` are its text's."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(f"{key}: {values}")
        self.key = key
        self.values = values


class NotHostError(Exception):
    """The act is for who runs the bot."""


def sentence(error: BaseException) -> str | None:
    """What the member hears; None where nobody foresaw the error."""
    values: dict[str, object] = {}
    match error:
        case PromptRefusedError():
            key = f"sorry.{error.refusal}"
            values = {"length": error.length, "limit": error.limit}
        case UnknownModelError():
            key = "sorry.unknown_model"
            values = {
                "model": escaped(textwrap.shorten(error.model, NAMED, placeholder="…")),
                "models": say_list([escaped(model) for model in error.models], ", ", LISTED),
            }
        case QueueFullError():
            key = f"sorry.queue_{error.scope}"
            when = discord.utils.format_dt(error.back_at, "R")
            values = {"limit": f"{error.limit:g}", "when": when}
        case MutedError():
            key = "sorry.muted"
            values = {"when": discord.utils.format_dt(error.until, "R")}
        case NoStoriesHereError():
            key, values = "sorry.no_stories_here", {"channels": _channels(error.channels)}
        case NumberRefusedError():
            key = "sorry.setting.number"
            value = escaped(textwrap.shorten(error.value, NAMED, placeholder="…"))
            values = {"value": value, "low": error.low, "high": error.high}
        case TooManyError():
            key, values = error.key, error.values
        case app_commands.NoPrivateMessage():
            key = "sorry.server_only"
        case _ if type(error) in _KEYS:
            key = _KEYS[type(error)]
        case _:
            return None
    return say(key, **values)


def _channels(channel_ids: Sequence[int]) -> str:
    return say_list([f"<#{channel_id}>" for channel_id in channel_ids], ", ", LISTED)


async def apologise(interaction: discord.Interaction[Any], error: BaseException) -> None:
    """Answer only the member with what went wrong; what nobody foresaw goes to the log too."""
    if isinstance(error, app_commands.CommandInvokeError | app_commands.TransformerError):
        error = error.__cause__ or error
    said = sentence(error)
    if said is None:
        _log.error(
            "Interaction %d of member %d failed",
            interaction.id,
            interaction.user.id,
            exc_info=error,
        )
        said = say("sorry.unexpected")
    try:
        if interaction.response.is_done():
            await interaction.followup.send(said, ephemeral=True)
        else:
            await interaction.response.send_message(said, ephemeral=True)
    except (discord.DiscordException, aiohttp.ClientError, OSError) as unheard:
        _log.warning("Interaction %d could not be answered: %s", interaction.id, unheard)


class Form(ui.Modal):
    """A modal whose errors reach the member as one sentence; discord.py would only log them."""

    async def on_error(  # type: ignore[override]  # discord.py's own modal has no item either
        self, interaction: discord.Interaction[Any], error: Exception, /
    ) -> None:
        """Say what went wrong."""
        await apologise(interaction, error)


_KEYS: dict[type[BaseException], str] = {
    OwnStoryError: "sorry.own_story",
    NotToldError: "sorry.not_told",
    StoryGoneError: "sorry.story_gone",
    NotYoursError: "sorry.not_yours",
    AlreadyOverError: "sorry.already_over",
    NotModeratorError: "sorry.not_moderator",
    NotYourStoryError: "sorry.not_your_story",
    PrivateReportError: "sorry.private_report",
    NoStoryThereError: "sorry.no_story_there",
    ReportedError: "sorry.reported",
    SettingRefusedError: "sorry.setting.wrong",
    NotHostError: "sorry.not_host",
    GeneratorDownError: "sorry.generator_down",
}
