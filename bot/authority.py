"""Who may do what: asked again at every command and press, whatever Discord let through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot.apologies import NotHostError, NotModeratorError, StoryGoneError

if TYPE_CHECKING:
    from bot.client import Kataribe
    from bot.database.tables import Story


def is_moderator(interaction: discord.Interaction[Any]) -> bool:
    """Whether who acts may manage the server that they act in."""
    return interaction.guild_id is not None and interaction.permissions.manage_guild


def moderated_guild(interaction: discord.Interaction[Any]) -> int:
    """Give the server of a moderator's act.

    A server's own settings can hand a command to anyone, and a message outlives its reader's
    rights, so it is asked here and not only declared.

    Raises:
        NoPrivateMessage: It is in no server.
        NotModeratorError: Who acts may not manage the server.
    """
    if interaction.guild_id is None:
        raise app_commands.NoPrivateMessage
    if not is_moderator(interaction):
        raise NotModeratorError(f"member {interaction.user.id} may not manage the server")
    return interaction.guild_id


async def visible_story(interaction: discord.Interaction[Kataribe], story_id: int) -> Story:
    """Give a story that who acts may see, where they act.

    A custom id is a client's word, and outlives both the story and what its reader may see.

    Raises:
        StoryGoneError: There is none (any more), it is of another server, or somebody's own.
    """
    story = await interaction.client.services.stories.get(story_id)
    if (
        story is None
        or story.removed_at is not None
        or story.guild_id != interaction.guild_id
        or (story.private and story.member_id != interaction.user.id)
    ):
        raise StoryGoneError(f"no story {story_id} for member {interaction.user.id}")
    return story


def is_host(interaction: discord.Interaction[Kataribe]) -> bool:
    """Whether who acts is the application's owner, or a member of its team."""
    application = interaction.client.application
    hosts: set[int] = set()
    if application is not None:
        hosts = {application.owner.id}
        if application.team is not None:
            hosts = {
                member.id
                for member in application.team.members
                if member.membership_state is discord.TeamMembershipState.accepted
                and member.role is not discord.TeamMemberRole.read_only
            }
    return interaction.user.id in hosts


def require_host(interaction: discord.Interaction[Kataribe]) -> None:
    """Let only the application's owner, or a member of its team, act.

    Raises:
        NotHostError: It is somebody else.
    """
    if not is_host(interaction):
        raise NotHostError(f"user {interaction.user.id} is not the host")
