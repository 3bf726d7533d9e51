"""From an exception to one sentence for the member who met it."""

from __future__ import annotations

import logging
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
from discord import app_commands

from bot.charts.errors import NoLettersError
from bot.database.duels import DuelClosedError, DuelUndecidedError
from bot.database.limits import QueueFullError
from bot.database.mutes import MutedError
from bot.database.openings import AlreadyProposedError, TooManyOpeningsError
from bot.database.ratings import NewAccountError, NotToldError, OwnStoryError
from bot.database.reports import ReportedError
from bot.locales import say, say_list
from bot.pictures import PostedLatelyError
from bot.safety.beginnings import PromptRefusedError
from bot.safety.escaping import escaped, short_name
from bot.safety.own_words import LONGEST_WORD, WordRefusedError
from bot.services import NoStoriesHereError, UnknownMoodError
from bot.worker.catalogue import UnknownModelError
from bot.worker.completions import GeneratorDownError

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

WRITE_AGAIN = "write_again"
"""In an interaction's extras: gives the buttons under an apology, by which what was typed is not
lost; nothing where it is better left."""
ALOUD = "aloud"
"""In an interaction's extras: everybody in the channel sees that the bot thinks about it."""
LISTED = 1000
"""Characters of the names that there are; a message takes 2,000."""


class OpeningGoneError(Exception):
    """There is no such opening, or somebody has decided about it."""


class StoryGoneError(Exception):
    """The story of a button is no longer in the database."""


class NotYoursError(Exception):
    """A member who is no moderator would call off somebody else's story."""


class NotYourDuelError(Exception):
    """A member who is no moderator would close somebody else's duel."""


class AlreadyOverError(Exception):
    """The story to be called off has ended."""


class ExportTooLargeError(Exception):
    """What is kept of a member fits into no file that Discord takes."""


class ExportingError(Exception):
    """All that is kept of a member is being collected for them already."""


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


class NothingProposedError(Exception):
    """A proposed opening has nothing that can be read."""


class FormGoneError(Exception):
    """What was typed into a form is kept no longer."""


class NoWordsError(Exception):
    """What a member wrote for a story to go on with has nothing that can be read."""


class NoStoryOfNumberError(Exception):
    """A member asked for a story by a number that is no story's, or none's for them."""

    def __init__(self, number: int) -> None:
        super().__init__(f"no story {number} that the member may see")
        self.number = number


class NothingSearchedError(Exception):
    """What shall be searched for has no word in it."""


class BotMutedError(Exception):
    """A bot shall be muted, which asks for nothing."""


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


class NoSuchChoiceError(app_commands.AppCommandError):
    """A client sent what a command's option or a menu does not offer."""


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


class AnnouncedLatelyError(Exception):
    """The host has said something to everybody a moment ago."""


class NotHostError(Exception):
    """The act is for who runs the bot."""


def sentence(error: BaseException) -> str | None:
    """What the member hears; None where nobody foresaw the error."""
    if (key := _KEYS.get(type(error))) is not None:
        return say(key)
    told = next((tell for kind, tell in _TOLD.items() if isinstance(error, kind)), None)
    if told is None:
        return None
    key, values = told(error)
    return say(key, **values)


Told = tuple[str, dict[str, object]]
"""A text's key, and what it is filled in with."""


def _prompt_refused(error: PromptRefusedError) -> Told:
    return f"sorry.{error.refusal}", {"length": error.length, "limit": error.limit}


def _no_story(error: NoStoryOfNumberError) -> Told:
    return "sorry.no_such_story", {"number": error.number}


def _word_refused(error: WordRefusedError) -> Told:
    return f"sorry.word_{error.refusal}", {"word": short_name(error.word), "limit": LONGEST_WORD}


def _unknown_model(error: UnknownModelError) -> Told:
    models = say_list([escaped(model) for model in error.models], ", ", LISTED)
    return "sorry.unknown_model", {"model": short_name(error.model), "models": models}


def _unknown_mood(error: UnknownMoodError) -> Told:
    moods = say_list(list(error.moods), ", ", LISTED)
    return "sorry.unknown_mood", {"mood": short_name(error.mood), "moods": moods}


def _queue_full(error: QueueFullError) -> Told:
    when = discord.utils.format_dt(error.back_at, "R")
    return f"sorry.queue_{error.scope}", {"limit": error.limit, "count": error.limit, "when": when}


def _muted(error: MutedError) -> Told:
    return "sorry.muted", {"when": discord.utils.format_dt(error.until, "R")}


def _no_stories_here(error: NoStoriesHereError) -> Told:
    channels = [f"<#{channel_id}>" for channel_id in error.channels]
    return "sorry.no_stories_here", {"channels": say_list(channels, ", ", LISTED)}


def _number_refused(error: NumberRefusedError) -> Told:
    values = {"value": short_name(error.value), "low": error.low, "high": error.high}
    return "sorry.setting.number", values


def _too_many(error: TooManyError) -> Told:
    return error.key, error.values


def _new_account(error: NewAccountError) -> Told:
    return "sorry.new_account", {"when": discord.utils.format_dt(error.until, "R")}


def _posted_lately(error: PostedLatelyError) -> Told:
    return "sorry.posted_lately", {"when": discord.utils.format_dt(error.back_at, "R")}


def _too_many_openings(error: TooManyOpeningsError) -> Told:
    return f"sorry.openings_{'server' if error.server else 'member'}", {"limit": error.limit}


def _reference(interaction_id: int) -> str:
    """What a member can pass on to the host, who finds it in the log; nobody types 19 digits."""
    return f"{zlib.crc32(str(interaction_id).encode()):08x}"


async def think_aloud(interaction: discord.Interaction[Any]) -> None:
    """Show everybody that the bot thinks; what is refused then is still the member's alone."""
    await interaction.response.defer(thinking=True)
    interaction.extras[ALOUD] = True


async def _fall_silent(interaction: discord.Interaction[Any]) -> None:
    """Think no longer: what follows "thinking" takes its place, for whom that was shown to."""
    with suppress(discord.NotFound):  # somebody took it away
        # While it is "thinking", what follows its deletion may go the same way.
        await interaction.edit_original_response(content="…")
        with suppress(discord.DiscordException, aiohttp.ClientError, OSError):  # it thinks no more
            await interaction.delete_original_response()


async def apologise(interaction: discord.Interaction[Any], error: BaseException) -> None:
    """Answer only the member with what went wrong; what nobody foresaw goes to the log too."""
    if isinstance(error, app_commands.CommandInvokeError | app_commands.TransformerError):
        error = error.__cause__ or error
    said = sentence(error)
    if said is None:
        reference = _reference(interaction.id)
        _log.error(
            "Interaction %d (%s) of member %d failed",
            interaction.id,
            reference,
            interaction.user.id,
            exc_info=error,
        )
        said = say("sorry.unexpected", reference=reference)
    offer = interaction.extras.get(WRITE_AGAIN)
    view = offer(error) if offer is not None else discord.utils.MISSING
    try:
        if interaction.extras.get(ALOUD):
            await _fall_silent(interaction)
        if interaction.response.is_done():
            await interaction.followup.send(said, view=view, ephemeral=True)
        else:
            await interaction.response.send_message(said, view=view, ephemeral=True)
    except (discord.DiscordException, aiohttp.ClientError, OSError) as unheard:
        _log.warning("Interaction %d could not be answered: %s", interaction.id, unheard)


_KEYS: dict[type[BaseException], str] = {
    app_commands.NoPrivateMessage: "sorry.server_only",
    app_commands.CommandNotFound: "sorry.command_changed",
    app_commands.CommandSignatureMismatch: "sorry.command_changed",
    OwnStoryError: "sorry.own_story",
    NotToldError: "sorry.not_told",
    StoryGoneError: "sorry.story_gone",
    NotYoursError: "sorry.not_yours",
    NotYourDuelError: "sorry.not_your_duel",
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
    NoWordsError: "sorry.no_words",
    FormGoneError: "sorry.form_gone",
    NothingProposedError: "sorry.nothing_proposed",
    NothingSearchedError: "sorry.nothing_searched",
    BotMutedError: "sorry.bot_muted",
    NotModeratorError: "sorry.not_moderator",
    NoLettersError: "sorry.no_letters",
    NotYourStoryError: "sorry.not_your_story",
    PrivateReportError: "sorry.private_report",
    NoStoryThereError: "sorry.no_story_there",
    ReportedError: "sorry.reported",
    SettingRefusedError: "sorry.setting.wrong",
    AnnouncedLatelyError: "sorry.host.lately",
    NotHostError: "sorry.not_host",
    ExportTooLargeError: "sorry.export_too_large",
    ExportingError: "sorry.exporting",
    OpeningGoneError: "sorry.opening_gone",
    AlreadyProposedError: "sorry.already_proposed",
    NoSuchChoiceError: "sorry.no_such_choice",
    GeneratorDownError: "sorry.generator_down",
}
_TOLD: dict[type[BaseException], Callable[[Any], Told]] = {
    PromptRefusedError: _prompt_refused,
    WordRefusedError: _word_refused,
    NoStoryOfNumberError: _no_story,
    UnknownModelError: _unknown_model,
    UnknownMoodError: _unknown_mood,
    QueueFullError: _queue_full,
    MutedError: _muted,
    NewAccountError: _new_account,
    NoStoriesHereError: _no_stories_here,
    NumberRefusedError: _number_refused,
    TooManyOpeningsError: _too_many_openings,
    TooManyError: _too_many,
    PostedLatelyError: _posted_lately,
}
