"""What moderators do with stories: take them away, and look at those that were reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import discord
from discord import ui

from bot.answering import Form
from bot.apologies import StoryGoneError
from bot.authority import moderated_guild
from bot.locales import say, speaking
from bot.messages import trail_page
from bot.messages.framed import whom
from bot.messages.report_page import reported
from bot.mod_log import tell_moderators
from bot.safety.escaping import escaped
from bot.safety.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.client import Kataribe
    from bot.database.tables import Story
    from bot.database.trail import Act
    from bot.messages.framed import Framed

REASON_LIMIT = 300
"""Characters of a reason."""


def reason_of(typed: str | None) -> str:
    """Why, as it is kept: on one line, without what nobody sees and no database takes."""
    return " ".join(visible(typed or "").split())


class Page(NamedTuple):
    """A message for the moderator who asked for it."""

    content: str
    embeds: list[discord.Embed]
    view: ui.View


class RemovalForm(Form):
    """A moderator says why, and sending it is the confirmation."""

    def __init__(self, stories: Sequence[Story]) -> None:
        """Ask about stories of the moderator's own server, which stand in one message."""
        super().__init__(title=say("remove.title"))
        self._stories = stories
        self._reason: ui.TextInput[Any] = ui.TextInput(required=False, max_length=REASON_LIMIT)
        self.add_item(ui.Label(text=say("remove.reason"), component=self._reason))

    def anew(self) -> RemovalForm:
        """Give it once more."""
        return RemovalForm(self._stories)

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Take them away, if who sent it still may."""
        moderated_guild(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        reason = reason_of(self._reason.value)
        done = [
            story
            for story in self._stories
            if await remove_by_moderator(interaction, story, reason)
        ]
        if not done:
            raise StoryGoneError("removed by somebody else meanwhile")
        await tell_of_removal(interaction, done[0], reason)  # of one message, so of one member
        await interaction.edit_original_response(content=say("remove.removed"))


async def remove_by_moderator(
    interaction: discord.Interaction[Kataribe], story: Story, reason: str
) -> bool:
    """Take a story away in its server's name; gives whether it stood there still."""
    guild_id, services = moderated_guild(interaction), interaction.client.services
    if story.guild_id != guild_id:
        raise StoryGoneError(f"story {story.id} is not of server {guild_id}")
    moderator_id = interaction.user.id
    return await services.remove(story, moderator_id=moderator_id, reason=reason) is not None


async def tell_of_removal(
    interaction: discord.Interaction[Kataribe], story: Story, reason: str
) -> None:
    """Say in the log channel that a moderator took a story's message away, and why."""
    client, guild_id = interaction.client, moderated_guild(interaction)
    with speaking(await client.services.language(guild_id, interaction.guild_locale)):
        line = say(
            "remove.log",
            moderator=whom(interaction.user.id),
            member=whom(story.member_id),
            link=link_of(client, story),
        )
        if reason:
            line += "\n" + say("remove.log_reason", reason=escaped(reason))
    await tell_moderators(client, guild_id, content=line)


def link_of(client: Kataribe, story: Story) -> str:
    """The address of a story's message, or of its channel while nobody knows the message."""
    channel = client.get_partial_messageable(story.channel_id, guild_id=story.guild_id)
    if story.message_id is None:
        return channel.jump_url
    return channel.get_partial_message(story.message_id).jump_url


async def reported_page(client: Kataribe, guild_id: int, after: int = 0) -> Page:
    """Give the reported story that has waited longest for a decision.

    Args:
        client: Discord's.
        guild_id: The server.
        after: The next after the one with this first report; see `Reports.waiting`.
    """
    services = client.services
    waiting = await services.reports.waiting(guild_id, after)
    story = await services.stories.get(waiting.story_id) if waiting is not None else None
    if waiting is None or story is None:
        return Page(say("report.none"), [], ui.View())
    rows = await services.reports.of_story(story.id)
    drawing = reported(story, rows, link_of(client, story), more=waiting.stories > 1)
    return Page(say("report.waiting", count=waiting.stories), [drawing.embed], drawing.view)


async def reports_left(client: Kataribe, guild_id: int) -> str:
    """Say how many reported stories wait for a decision now."""
    waiting = await client.services.reports.waiting(guild_id)
    return say("report.waiting", count=waiting.stories) if waiting else say("report.none")


async def trail_for(
    interaction: discord.Interaction[Kataribe],
    *,
    before: int | None = None,
    act: Act | None = None,
    moderator_id: int | None = None,
) -> Framed:
    """Give a page of what the moderators of this server did; arguments as in `Trail.page`."""
    lines = await interaction.client.services.trail.page(
        moderated_guild(interaction),
        trail_page.LINES + 1,
        before=before,
        act=act,
        moderator_id=moderator_id,
    )
    return trail_page.trail_page(lines, act, moderator_id)


async def asked_for(
    interaction: discord.Interaction[Kataribe],
    *,
    before: int | None = None,
    member_id: int | None = None,
) -> Framed:
    """Give a page of who asked for what in this server; arguments as in `Stories.asked_in`.

    Whoever manages a server does not therefore see all its channels: of the others no word shows.
    """
    guild_id, client = moderated_guild(interaction), interaction.client
    stories = await client.services.stories.asked_in(
        guild_id, trail_page.LINES + 1, before=before, member_id=member_id
    )

    def link(story: Story) -> str | None:
        guild, reader = interaction.guild, interaction.user
        channel = guild.get_channel_or_thread(story.channel_id) if guild is not None else None
        if channel is None or not isinstance(reader, discord.Member):
            return None
        return link_of(client, story) if channel.permissions_for(reader).view_channel else None

    return trail_page.asked_page(stories, link, member_id)
