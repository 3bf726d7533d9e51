"""A reported story as moderators see it; `bot.components.reporting` answers what they press."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import ui

from bot.database.removals import Removed
from bot.locales import say, say_list
from bot.messages.framed import Framed, whom
from bot.safety.escaping import cut, escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.database.tables import Report, Story

BEGINNING = 600
"""Characters of a story that are shown."""
REASONS = 1000
"""Characters of all reasons together; a field takes 1,024."""


def keep_id(report_id: int) -> str:
    """The custom id of **Keep**."""
    return f"kataribe:reported:{report_id}:keep"


def remove_id(report_id: int) -> str:
    """The custom id of **Remove**."""
    return f"kataribe:reported:{report_id}:remove"


def next_id(report_id: int) -> str:
    """The custom id of **Next**."""
    return f"kataribe:reported:{report_id}:next"


def reported(
    story: Story,
    reports: Sequence[Report],
    link: str,
    *,
    words: bool = True,
    more: bool = False,
) -> Framed:
    """A reported story, with what was decided, or the buttons that decide it.

    Args:
        story: As it stands; what was removed has no words any more.
        reports: All of them, the oldest first.
        link: To its message.
        words: Whether they are shown. Not where they would stay: what is deleted in its own
            message later would still be read there.
        more: There is a way to the next reported story.
    """
    embed = discord.Embed(title=say("report.title"), url=link)
    told = f"{story.prompt}{story.text}".strip()
    if not told:
        embed.description = say("report.no_words")
    elif words:
        embed.description = cut(escaped(told), BEGINNING)
    reasons = [
        say("report.reason_line", reason=escaped(report.reason), member=report.member_id)
        for report in reports
    ]
    embed.add_field(
        name=say("report.reasons"), value=say_list(reasons, "\n", REASONS), inline=False
    )
    embed.add_field(name=say("report.asked_by"), value=whom(story.member_id), inline=False)
    view, first = ui.View(timeout=None), reports[0].id
    if any(report.kept is None for report in reports):
        red = discord.ButtonStyle.danger
        view.add_item(ui.Button(label=say("report.keep"), custom_id=keep_id(first)))
        view.add_item(ui.Button(label=say("report.remove"), custom_id=remove_id(first), style=red))
    else:
        embed.add_field(
            name=say("report.decided"), value=_decision(reports[-1], story), inline=False
        )
    if more:
        view.add_item(ui.Button(label=say("report.next"), custom_id=next_id(first)))
    return Framed(embed, view)


def _decision(report: Report, story: Story) -> str:
    if report.kept:
        return say("report.kept", moderator=whom(report.moderator_id))
    if report.moderator_id is None and story.withheld != Removed.BY_MODERATOR:
        return say("report.deleted")
    return say("report.removed", moderator=whom(report.moderator_id))
