"""/ranking: which model tells best."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.apologies import think_aloud
from bot.locales import say, say_list, spoken
from bot.pictures import draw_standing
from bot.safety.escaping import escaped

if TYPE_CHECKING:
    from bot.client import Kataribe
    from bot.ranking import Standing

LISTED = 1500
"""Characters of each of the two lists; an embed takes 4,096."""
ALT = 1024
"""Characters that Discord takes as what a picture shows."""


@app_commands.command(name="ranking", description=say("command.ranking.description"))
async def ranking(interaction: discord.Interaction[Kataribe]) -> None:
    """Say it in words and as a picture; over all servers, for the models are the same in each."""
    await think_aloud(interaction)
    services = interaction.client.services
    standing = await services.ranking.standing()
    embed = discord.Embed(title=say("ranking.title"), description=_words(standing))
    if not (standing.strengths or standing.likes):
        await interaction.edit_original_response(embed=embed)
        return
    shown = (tuple(standing.strengths), tuple(standing.likes))
    draw = functools.partial(draw_standing, *shown)
    png = await services.pictures.get(("ranking", spoken(), *shown), draw)
    file = discord.File(io.BytesIO(png), "ranking.png", description=_alt(standing))
    embed.set_image(url="attachment://ranking.png")
    await interaction.edit_original_response(embed=embed, attachments=[file])


def _words(standing: Standing) -> str:
    duels = [
        say(
            "ranking.line_noise" if one.noise else "ranking.line",
            place=place,
            model=escaped(one.model),
            points=one.points,
            low=one.low,
            high=one.high,
        )
        for place, one in enumerate(standing.strengths, start=1)
    ]
    likes = [
        say("ranking.likes_line", model=escaped(one.model), mean=one.mean, count=one.votes)
        for one in standing.likes
    ]
    parts = [
        f"**{say('ranking.duels')}**",
        say_list(duels, "\n", LISTED) or say("ranking.no_duels"),
        f"\n**{say('ranking.likes')}**",
        say_list(likes, "\n", LISTED) or say("ranking.no_likes"),
    ]
    if duels:
        parts.append("\n" + say("ranking.about", duels=standing.duels))
    return "\n".join(parts)


def _alt(standing: Standing) -> str:
    duels = [
        say("ranking.alt_duel", model=one.model, points=one.points, low=one.low, high=one.high)
        for one in standing.strengths
    ]
    likes = [
        say("ranking.alt_like", model=one.model, mean=one.mean, count=one.votes)
        for one in standing.likes
    ]
    none = say("ranking.alt_none")
    duels_said, likes_said = (say_list(said, "; ", ALT // 3) or none for said in (duels, likes))
    return say("ranking.alt", duels=duels_said, likes=likes_said)[:ALT]
