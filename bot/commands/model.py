"""/model: who can tell, who tells where, and what a moderator decides about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.announcing import said_in
from bot.asking import places
from bot.authority import moderated_guild
from bot.commands.help import Audience
from bot.locales import say, say_list, speaking
from bot.moderating import reason_of
from bot.safety.escaping import escaped
from bot.worker.completions import GeneratorDownError
from bot.worker.completions_server import NAME_LIMIT  # noqa: TC001  # discord.py reads it

if TYPE_CHECKING:
    from bot.client import Kataribe
    from bot.worker.completions import Card

CHOICES = 25
"""Suggestions that Discord takes."""
LISTED = 3500
"""Characters of the list of models; an embed takes 4,096."""
REASON_LIMIT = 300
"""Characters of a moderator's reason."""

Place = app_commands.AppCommandChannel | app_commands.AppCommandThread


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


class Model(app_commands.Group, name="model", description=say("command.model.description")):
    """Who tells stories here. Members may look; moderators decide."""

    @app_commands.command(name="list", description=say("command.model.list"))
    async def list_models(self, interaction: discord.Interaction[Kataribe]) -> None:
        """List the models, and mark the one that tells here, or was to."""
        services = interaction.client.services
        here = places(interaction)
        names = await services.catalogue.models()
        teller = await services.teller(interaction.guild_id, *here)
        # However long the list is, the one that tells here stands in it.
        lines = [say("model.here", model=escaped(teller))] if teller in names else []
        lines += [say("model.other", model=escaped(name)) for name in names if name != teller]
        text = say("model.list", models=say_list(lines, "\n", LISTED))
        if interaction.guild_id is not None:
            choices = await services.guilds.choices(interaction.guild_id)
            chosen = choices.model_of(here)
            if (
                chosen is not None
                and not services.catalogue.down
                and chosen.casefold() != teller.casefold()
            ):
                text += "\n" + say("model.gone", model=escaped(chosen))
        await interaction.response.send_message(
            embed=discord.Embed(description=text), ephemeral=True
        )

    @app_commands.command(name="info", description=say("command.model.info"))
    @app_commands.describe(model=say("command.model.info_model"))
    @app_commands.autocomplete(model=suggest)
    async def info(
        self,
        interaction: discord.Interaction[Kataribe],
        model: app_commands.Range[str, 1, NAME_LIMIT] | None = None,
    ) -> None:
        """Say what is known of a model, of the one that tells here if none is named."""
        services = interaction.client.services
        if model is None:
            model = await services.teller(interaction.guild_id, *places(interaction))
        name = await services.catalogue.find(model)
        card = services.catalogue.card(name)
        # What it said of its models, and whether they are in memory, was before.
        away = card is not None and services.catalogue.down
        lines = [say("model.away")] if away else _facts(card)
        if interaction.guild_id is not None:
            choices = await services.guilds.choices(interaction.guild_id)
            if choices.model == name:
                lines.append(say("model.tells_in_server"))
            chosen = [f"<#{place}>" for place, of in choices.channels.items() if of == name]
            if chosen:
                listed = say_list(chosen, ", ", LISTED)
                lines.append(say("model.tells_in", channels=listed))
        embed = discord.Embed(title=escaped(name), description="\n".join(lines))
        await interaction.response.send_message(embed=embed, ephemeral=True)

    @app_commands.command(
        name="use",
        description=say("command.model.use"),
        extras={"audience": Audience.MODERATORS},
    )
    @app_commands.describe(
        model=say("command.model.use_model"),
        channel=say("command.model.use_channel"),
        reason=say("command.model.use_reason"),
    )
    @app_commands.autocomplete(model=suggest)
    async def use(
        self,
        interaction: discord.Interaction[Kataribe],
        model: app_commands.Range[str, 1, NAME_LIMIT] | None = None,
        channel: Place | None = None,
        reason: app_commands.Range[str, 1, REASON_LIMIT] | None = None,
    ) -> None:
        """Let a model tell from now on; without one, what would tell without this choice."""
        guild_id = moderated_guild(interaction)
        services = interaction.client.services
        if model is not None:
            model = await services.catalogue.find(model)
        place = channel.id if channel is not None else None
        await services.guilds.use_model(
            guild_id,
            model,
            interaction.user.id,
            channel_id=place,
            reason=reason_of(reason),
        )
        said = await _decision(interaction, guild_id, model, channel, reason)
        if not (await services.guilds.settings(guild_id)).announce_model:
            await interaction.response.send_message(said, ephemeral=True)
            return
        with speaking(await services.language(guild_id, interaction.guild_locale)):
            aloud = await _decision(interaction, guild_id, model, channel, reason)
        if place is None or place == interaction.channel_id:
            await interaction.response.send_message(aloud)
            return
        heard = await said_in(interaction.client, guild_id, place, aloud)
        said += "\n" + say("model.announced" if heard else "model.not_announced")
        await interaction.response.send_message(said, ephemeral=True)


def _facts(card: Card | None) -> list[str]:
    """What the generator says of a model, a line each; nothing is made up where it is silent."""
    if card is None:
        return [say("model.elsewhere")]
    facts = []
    if card.loaded is not None:
        facts.append(say("model.loaded") if card.loaded else say("model.on_disk"))
    if card.max_model_len is not None:
        facts.append(say("model.context", tokens=card.max_model_len))
    return facts or [say("model.silent")]


async def _decision(
    interaction: discord.Interaction[Kataribe],
    guild_id: int,
    model: str | None,
    channel: Place | None,
    reason: str | None,
) -> str:
    """What holds from now on, in one sentence, and why if the moderator says so."""
    services = interaction.client.services
    if channel is None:
        said = await services.said_of_teller(model)
    else:
        parent = channel.parent_id if isinstance(channel, app_commands.AppCommandThread) else None
        teller = model or await services.teller(guild_id, channel.id, parent)
        key = "model.used_in" if model else "model.unchosen_in"
        said = say(key, model=escaped(teller), channel=channel.mention)
    if reason is not None:
        said += "\n" + say("model.reason", reason=escaped(reason))
    return said
