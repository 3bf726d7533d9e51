"""What a member may see: their own stories, and those of channels that are open to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord

from bot.apologies import StoryGoneError
from bot.authority import visible_story
from bot.database.browsing import Viewer

if TYPE_CHECKING:
    from discord import Interaction

    from bot.client import Kataribe
    from bot.database.tables import Story


def viewer(interaction: Interaction[Kataribe]) -> Viewer:
    """Who looks through stories here; asked again at each press, for permissions change."""
    return Viewer(interaction.guild_id, interaction.user.id, frozenset(_channels(interaction)))


def _channels(interaction: Interaction[Kataribe]) -> set[int]:
    """The channels and threads of the server whose stories the member may read.

    Private threads are left out: who is in them, nobody tells us. Of archived threads Discord tells
    nobody either; stories of public ones have the channel with them whose readers may read them.
    """
    guild, member, here = interaction.guild, interaction.user, interaction.channel
    seen: set[int] = set()
    if guild is None:
        return seen
    if isinstance(member, discord.Member):
        seen = {channel.id for channel in guild.channels if _may_read(channel, member)}
        seen |= {
            thread.id
            for thread in guild.threads
            if not thread.is_private() and thread.parent_id in seen
        }
    # Where the bot is no member, it knows no channel but the one it was asked in.
    if here is not None and not (isinstance(here, discord.Thread) and here.is_private()):
        seen.add(here.id)
    return seen


def _may_read(channel: discord.abc.GuildChannel, member: discord.Member) -> bool:
    may = channel.permissions_for(member)
    # What is written in a voice channel is read by those who may connect.
    enter = not isinstance(channel, discord.VoiceChannel | discord.StageChannel) or may.connect
    return may.view_channel and may.read_message_history and enter


def readable(interaction: Interaction[Kataribe], story: Story, channels: frozenset[int]) -> bool:
    """Whether the member may read a story: their own, one of this channel, or of `channels`."""
    if story.guild_id != interaction.guild_id or story.removed_at is not None:
        return False
    if story.member_id == interaction.user.id:
        return True
    return not story.private and (
        story.channel_id == interaction.channel_id
        or story.channel_id in channels
        or story.thread_of in channels
    )


def check_channel(interaction: Interaction[Kataribe], story: Story) -> None:
    """Make sure that the member may read the channel that a story stands in.

    Raises:
        StoryGoneError: They may not, or not any more.
    """
    # Nearly every press is on the story's own message: the server's channels are not gone through.
    if story.channel_id == interaction.channel_id:
        return
    if not readable(interaction, story, viewer(interaction).channels):
        raise StoryGoneError(f"no story {story.id} for member {interaction.user.id}")


async def standing_story(interaction: Interaction[Kataribe], story_id: int) -> Story:
    """Give a story, told or not, that the member may see where they act.

    Raises:
        StoryGoneError: There is none (any more), it is of another server or a channel that is
            closed to them, or it is somebody's own.
    """
    story = await visible_story(interaction, story_id)
    check_channel(interaction, story)
    return story


async def story_for(interaction: Interaction[Kataribe], story_id: int) -> Story:
    """Give a story that was told and that the member may read.

    Raises:
        StoryGoneError: There is none for them; whether there is one at all is not said.
    """
    story = await interaction.client.services.stories.get(story_id)
    channels = viewer(interaction).channels
    if story is None or story.told_at is None or not readable(interaction, story, channels):
        raise StoryGoneError(f"no story {story_id} for member {interaction.user.id}")
    return story
