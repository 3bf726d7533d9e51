"""/help and /about: every command that the asker may use; and what this bot is."""

from __future__ import annotations

import importlib.metadata
import itertools
from enum import Enum
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot.authority import is_host, is_moderator
from bot.locales import ENGLISH, say, say_list, spoken, translated, translated_name
from bot.locales import command as mention
from bot.safety.escaping import escaped
from bot.worker.completions import GeneratorDownError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.client import Kataribe

    Slash = app_commands.Command[Any, ..., Any]
    Any_ = Slash | app_commands.Group | app_commands.ContextMenu

HOST = "host"
"""The group of commands that are for who runs the bot."""
LISTED = 3800
"""Characters of the list of commands; an embed takes 4,096."""
NAMED = 500
"""Characters of the list of models."""


class Audience(Enum):
    """Whom a command is for."""

    MEMBERS = "members"
    MODERATORS = "moderators"
    HOST = "host"


def audience(command: Any_) -> Audience:
    """Whom a command is for: what its own mark says, or its group's permissions."""
    root = _root(command)
    if root.name == HOST:
        return Audience.HOST
    permissions = root.default_permissions
    moderators = permissions is not None and permissions.manage_guild
    if moderators or command.extras.get("audience") is Audience.MODERATORS:
        return Audience.MODERATORS
    return Audience.MEMBERS


def _root(command: Any_) -> Any_:
    """The group that a command is in, or itself."""
    if isinstance(command, app_commands.ContextMenu):
        return command
    if isinstance(command, app_commands.Command):
        return command.root_parent or command
    return command.parent or command


def every(tree: app_commands.CommandTree[Any]) -> Iterator[Slash | app_commands.ContextMenu]:
    """Every command that can be given: of a group, those in it."""
    for kind in (discord.AppCommandType.chat_input, discord.AppCommandType.message):
        for command in tree.get_commands(type=kind):
            if isinstance(command, app_commands.Group):
                inner = command.walk_commands()
                yield from (one for one in inner if isinstance(one, app_commands.Command))
            else:
                yield command


def lines(commands: Iterable[Slash | app_commands.ContextMenu]) -> Iterator[str]:
    """What commands do, a line each, as they can be clicked.

    Those of a group share a line: one each would be a page and a half on a phone.
    """
    for root, of in itertools.groupby(commands, _root):
        if isinstance(root, app_commands.ContextMenu):
            name = translated_name(root.name, spoken()) or translated(root.name, spoken())
            yield say("help.menu", name=name or root.name)
            continue
        does = root.description
        if spoken() != ENGLISH:
            does = translated(does, spoken()) or does
        names = [mention(one.qualified_name) for one in of]
        key = "help.group" if isinstance(root, app_commands.Group) else "help.line"
        yield say(key, command=" · ".join(names), does=does)


def _usable(command: Any_, interaction: discord.Interaction[Kataribe]) -> bool:
    """Whether it works where it is asked: of servers' commands there are none elsewhere."""
    command = _root(command)
    contexts = command.allowed_contexts
    return interaction.guild_id is not None or not (
        command.guild_only or (contexts is not None and contexts.guild and not contexts.dm_channel)
    )


def _audiences(interaction: discord.Interaction[Kataribe]) -> list[Audience]:
    """What the asker is here."""
    found = [Audience.MEMBERS]
    if is_moderator(interaction):
        found.append(Audience.MODERATORS)
    if is_host(interaction):
        found.append(Audience.HOST)
    return found


@app_commands.command(name="help", description=say("command.help.description"))
async def help_command(interaction: discord.Interaction[Kataribe]) -> None:
    """Say it to the member who asked, and to nobody else."""
    usable = [
        command for command in every(interaction.client.tree) if _usable(command, interaction)
    ]
    shown = [say("help.under")]
    for group in _audiences(interaction):
        of = list(lines(one for one in usable if audience(one) is group))
        if of:
            shown += [f"\n{say(f'help.{group.value}')}", *of]
    embed = discord.Embed(title=say("help.title"), description=say_list(shown, "\n", LISTED))
    embed.set_footer(text=say("help.footer"))
    await interaction.response.send_message(embed=embed, ephemeral=True)


@app_commands.command(name="about", description=say("command.about.description"))
async def about(interaction: discord.Interaction[Kataribe]) -> None:
    """Say what it is, who tells, and which version this is."""
    try:
        names = [escaped(name) for name in await interaction.client.services.catalogue.models()]
        models = say_list(names, ", ", NAMED)
    except GeneratorDownError:
        models = say("about.away")
    version = importlib.metadata.version("kataribe")
    text = say("about.text", models=models, version=version)
    embed = discord.Embed(title=say("about.title"), description=text)
    await interaction.response.send_message(embed=embed, ephemeral=True)
