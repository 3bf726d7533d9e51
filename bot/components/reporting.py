"""**Report** in a story's menu, and what moderators press under a reported story."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands, ui

from bot.answering import Form
from bot.apologies import PrivateReportError, StoryGoneError
from bot.authority import moderated_guild
from bot.browsing.visible import standing_story
from bot.components.press import NumberedButton
from bot.locales import say, speaking, spoken
from bot.messages.report_page import reported
from bot.mod_log import tell_moderators
from bot.moderating import (
    REASON_LIMIT,
    link_of,
    reason_of,
    remove_by_moderator,
    reported_page,
    reports_left,
    tell_of_removal,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.client import Kataribe
    from bot.database.tables import Report as Row
    from bot.database.tables import Story


class Report(NumberedButton, template=r"kataribe:report:(?P<number>\d{1,19})"):
    """Anybody shows a story to their server's moderators, once."""

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Ask what is wrong with it."""
        if interaction.guild_id is None:
            raise app_commands.NoPrivateMessage
        story = await standing_story(interaction, self.number)
        if story.private:
            raise PrivateReportError(f"story {story.id} is private")
        await interaction.response.send_modal(ReportForm(story.id))


class ReportForm(Form):
    """What is wrong with a story."""

    def __init__(self, story_id: int) -> None:
        super().__init__(title=say("report.form"))
        self._story_id = story_id
        self._reason: ui.TextInput[Any] = ui.TextInput(
            style=discord.TextStyle.paragraph, max_length=REASON_LIMIT
        )
        self.add_item(ui.Label(text=say("report.form_reason"), component=self._reason))

    def anew(self) -> ReportForm:
        """Give it once more."""
        return ReportForm(self._story_id)

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Keep the report, and show it in the log channel if it is the first that waits."""
        services = interaction.client.services
        story = await standing_story(interaction, self._story_id)
        assert story.guild_id is not None  # noqa: S101  # the form opens in servers only
        reason = reason_of(self._reason.value)
        added = await services.reports.add(story.id, story.guild_id, interaction.user.id, reason)
        await interaction.response.send_message(say("report.thanks"), ephemeral=True)
        if added.first:
            rows = await services.reports.of_story(story.id)
            with speaking(await services.language(story.guild_id, interaction.guild_locale)):
                link = link_of(interaction.client, story)
                drawing = reported(story, rows, link, words=False)
            await tell_moderators(
                interaction.client, story.guild_id, embed=drawing.embed, view=drawing.view
            )


class _Decision(NumberedButton, template=r"(?!)"):
    """A press under a reported story, which is drawn anew after it with what was decided."""

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Decide if nobody has; whoever did is shown."""
        guild_id = moderated_guild(interaction)
        services = interaction.client.services
        row = await services.reports.get(self.number)
        story = await services.stories.get(row.story_id) if row is not None else None
        if row is None or story is None or row.guild_id != guild_id:
            raise StoryGoneError(f"no report {self.number} in server {guild_id}")
        await interaction.response.defer()
        rows = await services.reports.of_story(story.id)
        if any(one.kept is None for one in rows):
            await self.decide(interaction, story, rows)
            rows = await services.reports.of_story(story.id)
            story = await services.stories.get(story.id) or story
        alone = _is_for_one(interaction)
        link = link_of(interaction.client, story)
        # What stands in the log channel is read by all moderators, whoever pressed.
        theirs = await services.language(guild_id, interaction.guild_locale)
        with speaking(spoken() if alone else theirs):
            drawing = reported(story, rows, link, words=alone, more=alone)
            left = await reports_left(interaction.client, guild_id) if alone else None
        await interaction.edit_original_response(
            content=left, embed=drawing.embed, view=drawing.view
        )

    async def decide(
        self, interaction: discord.Interaction[Kataribe], story: Story, rows: Sequence[Row]
    ) -> None:
        """What the button decides."""
        raise NotImplementedError


def _is_for_one(interaction: discord.Interaction[Kataribe]) -> bool:
    """Whether only who pressed sees the message with the button, as in `/reports`."""
    assert interaction.message is not None  # noqa: S101  # the one with the button
    return interaction.message.flags.ephemeral


class KeepReported(_Decision, template=r"kataribe:reported:(?P<number>\d{1,19}):keep"):
    """The story stands."""

    async def decide(
        self, interaction: discord.Interaction[Kataribe], story: Story, rows: Sequence[Row]
    ) -> None:
        """Keep it."""
        del rows
        guild_id = moderated_guild(interaction)
        await interaction.client.services.reports.keep(story.id, guild_id, interaction.user.id)


class RemoveReported(_Decision, template=r"kataribe:reported:(?P<number>\d{1,19}):remove"):
    """The story goes."""

    async def decide(
        self, interaction: discord.Interaction[Kataribe], story: Story, rows: Sequence[Row]
    ) -> None:
        """Remove it, for the reason that was given first."""
        reason = rows[0].reason
        removed = await remove_by_moderator(interaction, story, reason)
        settings = await interaction.client.services.guilds.settings(moderated_guild(interaction))
        # The message with the button says it itself, where it stands in the log channel.
        elsewhere = _is_for_one(interaction) or settings.log_channel != interaction.channel_id
        if removed and elsewhere:
            await tell_of_removal(interaction, story, reason)


class NextReported(NumberedButton, template=r"kataribe:reported:(?P<number>\d{1,19}):next"):
    """In `/reports`: the one that came after."""

    async def pressed(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Show it, or that there is none."""
        guild_id = moderated_guild(interaction)
        page = await reported_page(interaction.client, guild_id, after=self.number)
        await interaction.response.edit_message(
            content=page.content, embeds=page.embeds, view=page.view
        )
