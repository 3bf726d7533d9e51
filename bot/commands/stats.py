"""/stats: a server's month in charts."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.apologies import think_aloud
from bot.locales import say, say_list, say_number, spoken
from bot.pictures import draw_village

if TYPE_CHECKING:
    from bot.client import Kataribe
    from bot.database.figures import Month

ALT = 1024
"""Characters that Discord takes as what a picture shows."""


@app_commands.guild_only()
@app_commands.command(name="stats", description=say("command.stats.description"))
async def stats(interaction: discord.Interaction[Kataribe]) -> None:
    """Draw it, at most once an hour for each server; there is nothing of one member in it."""
    if interaction.guild_id is None:
        raise app_commands.NoPrivateMessage
    await think_aloud(interaction)
    services = interaction.client.services
    counted = await services.months.get(interaction.guild_id)
    month = counted.month
    if not month.stories:
        await interaction.edit_original_response(content=say("stats.none"))
        return
    key = ("stats", interaction.guild_id, counted.at, spoken())
    png = await services.pictures.get(key, functools.partial(draw_village, month))
    file = discord.File(io.BytesIO(png), "stats.png", description=_alt(month))
    text = say("stats.text", count=month.stories)
    text += "\n" + say("stats.counted", when=discord.utils.format_dt(counted.at, "R"))
    embed = discord.Embed(title=say("stats.title"), description=text)
    embed.set_image(url="attachment://stats.png")
    await interaction.edit_original_response(embed=embed, attachments=[file])


def _alt(month: Month) -> str:
    models = [f"{model} {say_number(count)}" for model, count in month.models]
    return say(
        "stats.alt",
        count=month.stories,
        most=max(month.days),
        hour=max(range(24), key=lambda hour: month.hours[hour]),
        models=say_list(models, ", ", ALT // 3),
        stars=", ".join(say_number(count) for count in reversed(month.stars)),
    )[:ALT]
