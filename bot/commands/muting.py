"""/mute, /unmute, /audit and /asked: what moderators do about members, and who of them did what."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.apologies import BotMutedError
from bot.authority import moderated_guild
from bot.database.trail import Act
from bot.locales import say
from bot.moderating import REASON_LIMIT, asked_for, reason_of, trail_for

if TYPE_CHECKING:
    from bot.client import Kataribe

TIMES = {
    "minutes_10": dt.timedelta(minutes=10),
    "hour": dt.timedelta(hours=1),
    "day": dt.timedelta(days=1),
    "week": dt.timedelta(weeks=1),
    "days_30": dt.timedelta(days=30),
}
"""How long a mute may be, by the name of its text."""


@app_commands.command(name="mute", description=say("command.mute.description"))
@app_commands.describe(
    member=say("command.mute.member"),
    time=say("command.mute.time"),
    reason=say("command.mute.reason"),
)
@app_commands.choices(
    time=[app_commands.Choice(name=say(f"mute.time.{time}"), value=time) for time in TIMES]
)
@app_commands.guild_only()
@app_commands.default_permissions(manage_guild=True)
async def mute(
    interaction: discord.Interaction[Kataribe],
    member: discord.User,
    time: str,
    reason: app_commands.Range[str, 1, REASON_LIMIT] | None = None,
) -> None:
    """Let the bot not serve a member for a while; a second mute takes the first one's place."""
    guild_id = moderated_guild(interaction)
    if member.bot:
        raise BotMutedError(f"user {member.id} is a bot")
    until = await interaction.client.services.mutes.mute(
        guild_id, member.id, TIMES[time], interaction.user.id, reason_of(reason)
    )
    said = say("mute.done", member=member.id, until=discord.utils.format_dt(until, "f"))
    await interaction.response.send_message(said, ephemeral=True)


@app_commands.command(name="unmute", description=say("command.unmute.description"))
@app_commands.describe(member=say("command.unmute.member"))
@app_commands.guild_only()
@app_commands.default_permissions(manage_guild=True)
async def unmute(interaction: discord.Interaction[Kataribe], member: discord.User) -> None:
    """End a member's mute."""
    ended = await interaction.client.services.mutes.unmute(
        moderated_guild(interaction), member.id, interaction.user.id
    )
    said = say("mute.undone" if ended else "mute.was_not", member=member.id)
    await interaction.response.send_message(said, ephemeral=True)


@app_commands.command(name="audit", description=say("command.audit.description"))
@app_commands.describe(act=say("command.audit.act"), moderator=say("command.audit.moderator"))
@app_commands.choices(
    act=[
        app_commands.Choice(name=say(f"trail.act.{act.replace(' ', '_')}"), value=act.value)
        for act in Act
    ]
)
@app_commands.guild_only()
@app_commands.default_permissions(manage_guild=True)
async def audit(
    interaction: discord.Interaction[Kataribe],
    act: str | None = None,
    moderator: discord.User | None = None,
) -> None:
    """Show who did what, the newest first."""
    drawing = await trail_for(
        interaction,
        act=Act(act) if act is not None else None,
        moderator_id=moderator.id if moderator is not None else None,
    )
    await interaction.response.send_message(embed=drawing.embed, view=drawing.view, ephemeral=True)


@app_commands.command(name="asked", description=say("command.asked.description"))
@app_commands.describe(member=say("command.asked.member"))
@app_commands.guild_only()
@app_commands.default_permissions(manage_guild=True)
async def asked(
    interaction: discord.Interaction[Kataribe], member: discord.User | None = None
) -> None:
    """Show who asked for which story, the newest first."""
    drawing = await asked_for(interaction, member_id=member.id if member is not None else None)
    await interaction.response.send_message(embed=drawing.embed, view=drawing.view, ephemeral=True)
