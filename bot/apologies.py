"""From an exception to one sentence for the member who met it."""

from __future__ import annotations

import logging
import textwrap
from typing import Any

import aiohttp
import discord
from discord import app_commands

from bot.database.duels import DuelClosedError, DuelUndecidedError
from bot.database.limits import QueueFullError
from bot.database.openings import AlreadyProposedError, TooManyOpeningsError
from bot.database.ratings import NotToldError, OwnStoryError
from bot.locales import say, say_list
from bot.safety.beginnings import PromptRefusedError
from bot.safety.escaping import escaped
from bot.safety.own_words import LONGEST_WORD, WordRefusedError
from bot.services import UnknownMoodError
from bot.worker.catalogue import UnknownModelError
from bot.worker.completions import GeneratorDownError

_log = logging.getLogger(__name__)

NAMED = 60
"""Characters of a wrong name that are said back."""
LISTED = 1000
"""Characters of the names that there are; a message takes 2,000."""


class OpeningGoneError(Exception):
    """There is no such opening, or somebody has decided about it."""


class StoryGoneError(Exception):
    """The story of a button is no longer in the database."""


class NotYoursError(Exception):
    """A member who is no moderator would call off somebody else's story."""


class AlreadyOverError(Exception):
    """The story to be called off has ended."""


class ExportTooLargeError(Exception):
    """What is kept of a member fits into no file that Discord takes."""


class NothingToContinueError(Exception):
    """The story was not told, so nothing can follow it."""


class TaleEndedError(Exception):
    """The story is the last part of its tale."""


class OnlyTellerError(Exception):
    """Nobody else could tell the story."""


class SameTellerError(Exception):
    """A duel takes two."""


class NoContrastError(Exception):
    """There are no two kinds of models to be contrasted."""


class NotYourMessageError(Exception):
    """A story would begin with somebody else's words."""


class NothingWrittenError(Exception):
    """The message has no words that a story could begin with."""


class NotModeratorError(Exception):
    """The act needs the Manage Server permission."""


def sentence(error: BaseException) -> str | None:
    """What the member hears; None where nobody foresaw the error."""
    values: dict[str, object] = {}
    match error:
        case PromptRefusedError():
            key = f"sorry.{error.refusal}"
            values = {"length": error.length, "limit": error.limit}
        case WordRefusedError():
            key = f"sorry.word_{error.refusal}"
            values = {
                "word": escaped(textwrap.shorten(error.word, NAMED, placeholder="…")),
                "limit": LONGEST_WORD,
            }
        case UnknownModelError():
            key = "sorry.unknown_model"
            values = {
                "model": escaped(textwrap.shorten(error.model, NAMED, placeholder="…")),
                "models": say_list([escaped(model) for model in error.models], ", ", LISTED),
            }
        case UnknownMoodError():
            key = "sorry.unknown_mood"
            values = {
                "mood": escaped(textwrap.shorten(error.mood, NAMED, placeholder="…")),
                "moods": say_list(list(error.moods), ", ", LISTED),
            }
        case QueueFullError():
            key = f"sorry.queue_{error.scope}"
            values = {
                "limit": f"{error.limit:g}",
                "when": discord.utils.format_dt(error.back_at, "R"),
            }
        case TooManyOpeningsError():
            key = f"sorry.openings_{'server' if error.server else 'member'}"
            values = {"limit": error.limit}
        case app_commands.NoPrivateMessage():
            key = "sorry.server_only"
        case _ if type(error) in _KEYS:
            key = _KEYS[type(error)]
        case _:
            return None
    return say(key, **values)


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


_KEYS: dict[type[BaseException], str] = {
    app_commands.NoPrivateMessage: "sorry.server_only",
    OwnStoryError: "sorry.own_story",
    NotToldError: "sorry.not_told",
    StoryGoneError: "sorry.story_gone",
    NotYoursError: "sorry.not_yours",
    AlreadyOverError: "sorry.already_over",
    NothingToContinueError: "sorry.nothing_to_continue",
    TaleEndedError: "sorry.tale_ended",
    SameTellerError: "sorry.same_teller",
    NoContrastError: "sorry.no_contrast",
    DuelClosedError: "sorry.duel_closed",
    DuelUndecidedError: "sorry.duel_undecided",
    OnlyTellerError: "sorry.only_teller",
    NotYourMessageError: "sorry.not_your_message",
    NothingWrittenError: "sorry.nothing_written",
    NotModeratorError: "sorry.not_moderator",
    ExportTooLargeError: "sorry.export_too_large",
    OpeningGoneError: "sorry.opening_gone",
    AlreadyProposedError: "sorry.already_proposed",
    GeneratorDownError: "sorry.generator_down",
}
