"""/duel and /contrast: one beginning, told by two models at once."""

from __future__ import annotations

import functools
import random
from dataclasses import replace
from typing import TYPE_CHECKING

from discord import app_commands

from bot.apologies import NoContrastError, OnlyTellerError, SameTellerError
from bot.asking import ask, places, wish_of
from bot.commands.model import suggest
from bot.commands.story import begin, left_to_us, tell_or_mend
from bot.database.tables import Form
from bot.locales import say
from bot.openings import OPENINGS, opening
from bot.safety.beginnings import checked_prompt
from bot.worker.completions_server import NAME_LIMIT  # noqa: TC001  # discord.py reads it

if TYPE_CHECKING:
    from collections.abc import Sequence

    import discord

    from bot.client import Kataribe

CONTRASTED = ("gpt", "lstm")
"""What the names of the two kinds have in them."""


@app_commands.command(name="duel", description=say("command.duel.description"))
@app_commands.describe(
    prompt=say("command.duel.prompt"),
    model=say("command.duel.model"),
    against=say("command.duel.against"),
)
@app_commands.autocomplete(prompt=begin, model=suggest, against=suggest)
async def duel(
    interaction: discord.Interaction[Kataribe],
    prompt: str,
    model: app_commands.Range[str, 1, NAME_LIMIT] | None = None,
    against: app_commands.Range[str, 1, NAME_LIMIT] | None = None,
) -> None:
    """Let two models tell, in an order that nobody knows."""
    catalogue = interaction.client.services.catalogue
    named = [await catalogue.find(name) for name in (model, against) if name is not None]
    others = [name for name in await catalogue.models() if name not in named]
    random.shuffle(others)
    pair = [*named, *others][:2]
    if len(set(pair)) < len(pair):
        raise SameTellerError(f"{pair[0]} against itself")
    if len(pair) < 2:  # noqa: PLR2004  # a duel's
        raise OnlyTellerError(f"{pair[0]} is the only model")
    random.shuffle(pair)
    tell = functools.partial(_tell_both, models=pair, form=Form.DUEL)
    await tell_or_mend(interaction, prompt, tell)


@app_commands.command(name="contrast", description=say("command.contrast.description"))
@app_commands.describe(prompt=say("command.duel.prompt"))
@app_commands.autocomplete(prompt=begin)
async def contrast(interaction: discord.Interaction[Kataribe], prompt: str) -> None:
    """Let a GPT-2 and an LSTM tell, each under its name."""
    services = interaction.client.services
    names = [
        await services.teller(interaction.guild_id, *places(interaction)),
        *await services.catalogue.models(),
    ]
    pair = [next((name for name in names if kind in name.casefold()), None) for kind in CONTRASTED]
    found = [name for name in pair if name is not None]
    if len(set(found)) < len(CONTRASTED):
        raise NoContrastError(f"no two kinds among {', '.join(names)}")
    tell = functools.partial(_tell_both, models=found, form=Form.CONTRAST)
    await tell_or_mend(interaction, prompt, tell)


async def _tell_both(
    interaction: discord.Interaction[Kataribe], prompt: str, *, models: Sequence[str], form: Form
) -> None:
    """Ask for the same beginning, with the same seed, by both models."""
    services = interaction.client.services
    given = "" if left_to_us(prompt) else prompt
    beginning = checked_prompt(given, services.settings.stories.prompt_limit)
    if not beginning:
        beginning = opening(await services.openings.accepted(interaction.guild_id))
    first = wish_of(
        interaction,
        prompt=beginning,
        house_opening=beginning in OPENINGS,
        model=models[0],
        form=form,
    )
    await ask(interaction, first, replace(first, nth=1, model=models[1]))
