"""/models and /model use: who can tell, and who tells in a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.apologies import NotModeratorError
from bot.locales import say, say_list
from bot.safety.escaping import escaped
from bot.worker.completions import GeneratorDownError
from bot.worker.completions_server import NAME_LIMIT  # noqa: TC001  # discord.py reads it

if TYPE_CHECKING:
    from bot.client import Kataribe

CHOICES = 25
"""Suggestions that Discord takes."""
LISTED = 3500
"""Characters of the list of models; an embed takes 4,096."""


async def suggest(
    interaction: discord.Interaction[Kataribe], typed: str
) -> list[app_commands.Choice[str]]:
    """Models whose name contains what was typed so far; none while nobody can say."""
    try:
        models = await interaction.client.services.catalogue.models()
    except GeneratorDownError:
        return []
    wanted = typed.strip().casefold()
    fitting = [model for model in models if wanted in model.casefold()]
    return [app_commands.Choice(name=model, value=model) for model in fitting[:CHOICES]]


@app_commands.command(name="models", description=say("command.models.description"))
async def models(interaction: discord.Interaction[Kataribe]) -> None:
    """List the models, and mark the one that tells here, or was to."""
    services = interaction.client.services
    names = await services.catalogue.models()
    here = await services.teller(interaction.guild_id)
    # However long the list is, the one that tells here stands in it.
    lines = [say("model.here", model=escaped(here))] if here in names else []
    lines += [say("model.other", model=escaped(model)) for model in names if model != here]
    text = say("model.list", models=say_list(lines, "\n", LISTED))
    chosen = interaction.guild_id and await services.guilds.model(interaction.guild_id)
    if chosen and not services.catalogue.down and chosen.casefold() != here.casefold():
        text += "\n" + say("model.gone", model=escaped(chosen))
    await interaction.response.send_message(embed=discord.Embed(description=text), ephemeral=True)


@app_commands.guild_only()
@app_commands.default_permissions(manage_guild=True)
class Model(app_commands.Group, name="model", description=say("command.model.description")):
    """What moderators decide about models."""

    @app_commands.command(name="use", description=say("command.model.use"))
    @app_commands.describe(model=say("command.model.use_model"))
    @app_commands.autocomplete(model=suggest)
    async def use(
        self,
        interaction: discord.Interaction[Kataribe],
        model: app_commands.Range[str, 1, NAME_LIMIT] | None = None,
    ) -> None:
        """Let a model tell in this server from now on; without one, the host's own choice."""
        if interaction.guild_id is None:
            raise app_commands.NoPrivateMessage
        # A server's own settings can hand the command to anyone, so it is asked again here.
        if not interaction.permissions.manage_guild:
            raise NotModeratorError(f"member {interaction.user.id} may not manage the server")
        services = interaction.client.services
        if model is not None:
            model = await services.catalogue.find(model)
        await services.guilds.use_model(interaction.guild_id, model, interaction.user.id)
        key = "model.used" if model else "model.unchosen"
        teller = model or await services.catalogue.default()
        await interaction.response.send_message(say(key, model=escaped(teller)))
