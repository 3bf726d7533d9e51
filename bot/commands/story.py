"""/story: hear a story."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.asking import Chosen, ask, places, wish_of
from bot.commands.model import CHOICES, suggest
from bot.database.tables import Length
from bot.locales import say
from bot.openings import OPENINGS, fitting, opening, some
from bot.safety.beginnings import PromptRefusedError, checked_prompt
from bot.safety.escaping import units
from bot.worker.completions_server import NAME_LIMIT  # noqa: TC001  # discord.py reads it

if TYPE_CHECKING:
    from bot.client import Kataribe

SURPRISE = "kataribe:surprise"
"""What *Surprise me* sends in place of a beginning: nothing that anybody types by accident."""
AT_FIRST = 8
"""Openings that are offered before anything is typed."""
CHOICE_LIMIT = 100
"""UTF-16 units of a suggestion that Discord takes at its strictest."""

MOOD_LIMIT = 32
LARGEST_SEED = 2**53 - 1
"""Discord's whole numbers go no further."""


def left_to_us(prompt: str) -> bool:
    """Whether the bot shall begin: *Surprise me* was chosen, or typed by who did not choose it."""
    return prompt == SURPRISE or _letters(prompt) == _letters(say("command.story.surprise"))


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


async def begin(
    interaction: discord.Interaction[Kataribe], typed: str
) -> list[app_commands.Choice[str]]:
    """What was typed, then *Surprise me*, then openings that fit; none of them has to be taken.

    What is too long for a suggestion is taken as it is typed.
    """
    if units(typed) > CHOICE_LIMIT:
        return []
    own = await interaction.client.services.openings.accepted(interaction.guild_id)
    first, others = [], some(AT_FIRST, own)
    with suppress(PromptRefusedError):
        words = checked_prompt(typed, interaction.client.services.settings.stories.prompt_limit)
        if 0 < units(words) <= CHOICE_LIMIT:
            first, others = [words], fitting(words, own)
    choices = [app_commands.Choice(name=say("command.story.surprise"), value=SURPRISE)]
    choices[:0] = [app_commands.Choice(name=text, value=text) for text in first]
    choices += [app_commands.Choice(name=text, value=text) for text in others if text not in first]
    return choices[:CHOICES]


async def suggest_moods(
    interaction: discord.Interaction[Kataribe], typed: str
) -> list[app_commands.Choice[str]]:
    """Moods whose name contains what was typed so far."""
    wanted = typed.strip().casefold()
    moods = await interaction.client.services.moods(interaction.guild_id)
    names = [mood for mood in moods if wanted in mood]
    return [app_commands.Choice(name=mood, value=mood) for mood in names[:CHOICES]]


LENGTHS = [
    app_commands.Choice(name=say("length.short"), value=Length.SHORT.value),
    app_commands.Choice(name=say("length.long"), value=Length.LONG.value),
    app_commands.Choice(name=say("length.saga"), value=Length.SAGA.value),
]


@app_commands.command(name="story", description=say("command.story.description"))
@app_commands.describe(
    prompt=say("command.story.prompt"),
    model=say("command.story.model"),
    mood=say("command.story.mood"),
    length=say("command.story.length"),
    seed=say("command.story.seed"),
    private=say("command.story.private"),
)
@app_commands.autocomplete(prompt=begin, model=suggest, mood=suggest_moods)
@app_commands.choices(length=LENGTHS)
async def story(
    interaction: discord.Interaction[Kataribe],
    prompt: str,
    model: app_commands.Range[str, 1, NAME_LIMIT] | None = None,
    mood: app_commands.Range[str, 1, MOOD_LIMIT] | None = None,
    length: str | None = None,
    seed: app_commands.Range[int, 0, LARGEST_SEED] | None = None,
    private: bool = False,
) -> None:
    """Check what was given, choose what was not, and ask.

    The prompt is required: Discord would drop words typed after a command without such an option.
    """
    services = interaction.client.services
    given = "" if left_to_us(prompt) else prompt
    beginning = checked_prompt(given, services.settings.stories.prompt_limit)
    if not beginning:
        beginning = opening(await services.openings.accepted(interaction.guild_id))
    wanted = Length(length) if length else await services.length(interaction.guild_id)
    chosen: Chosen = {"length": wanted, "private": private}
    if mood is not None:
        chosen["mood"] = await services.mood(mood, interaction.guild_id)
    if seed is not None:
        chosen["seed"] = seed
    wish = wish_of(
        interaction,
        prompt=beginning,
        house_opening=beginning in OPENINGS,
        model=(model or "").strip()
        or await services.teller(interaction.guild_id, *places(interaction)),
        **chosen,
    )
    await ask(interaction, wish)
