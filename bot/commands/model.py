"""/models and /model use: who can tell, and who tells in a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.apologies import NotModeratorError
from bot.locales import say
from bot.safety.escaping import escaped
from bot.worker.completions import GeneratorDownError

if TYPE_CHECKING:
    from bot.client import Kataribe

CHOICES = 25
"""Suggestions that Discord takes."""
NAME_LIMIT = 100
"""Characters of a suggestion that Discord takes, and of a name that the database does."""


async def suggest(
    interaction: discord.Interaction[Kataribe], typed: str
) -> list[app_commands.Choice[str]]:
    """Models whose name contains what was typed so far; none while nobody can say."""
    try:
        models = await interaction.client.catalogue.models()
    except GeneratorDownError:
        return []
    fitting = (m for m in models if typed.lower() in m.lower() and len(m) <= NAME_LIMIT)
    return [app_commands.Choice(name=model, value=model) for model in list(fitting)[:CHOICES]]


@app_commands.command(name="models", description=say("command.models.description"))
async def models(interaction: discord.Interaction[Kataribe]) -> None:
    """List the models, and mark the one that tells here."""
    client = interaction.client
    here = await client.teller(interaction.guild_id)
    lines = [
        say("model.here" if model == here else "model.other", model=escaped(model))
        for model in await client.catalogue.models()
    ]
    await interaction.response.send_message(
        embed=discord.Embed(description=say("model.list", models="\n".join(lines))), ephemeral=True
    )


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
        client = interaction.client
        if model is not None:
            await client.catalogue.check(model)
        await client.services.guilds.use_model(interaction.guild_id, model, interaction.user.id)
        key = "model.used" if model else "model.unchosen"
        teller = model or client.settings.stories.model
        await interaction.response.send_message(say(key, model=escaped(teller)))
