"""What stands on a server's board: today's beginning, and the story of the week."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import ui

from bot.locales import say
from bot.messages.embeds import colour
from bot.safety.escaping import cut, escaped

if TYPE_CHECKING:
    from bot.database.tables import Opening, Story

EXCERPT = 600
"""UTF-16 units of the story of the week; the whole one is a click away."""


def begin_id(opening: Opening | int) -> str:
    """The custom id of **Tell it**: a server's opening, or the number of one of the house's."""
    if isinstance(opening, int):
        return f"kataribe:begin:house:{opening}"
    return f"kataribe:begin:own:{opening.id}"


def begin(custom_id: str) -> ui.Button[ui.View]:
    """Tell a story that begins so."""
    style = discord.ButtonStyle.primary
    return ui.Button(label=say("button.begin"), custom_id=custom_id, style=style)


def daily(text: str, custom_id: str) -> tuple[discord.Embed, ui.View]:
    """Today's beginning, and a button that tells a story from it."""
    embed = discord.Embed(
        title=say("notice.daily.title"),
        description=say("notice.daily.text", opening=escaped(text)),
    )
    return embed, ui.View(timeout=None).add_item(begin(custom_id))


def weekly(story: Story) -> discord.Embed:
    """The story of the week, its first lines, and where it stands."""
    whole = " ".join(f"{story.prompt}{story.text}".split())
    told = cut(whole, EXCERPT)
    embed = discord.Embed(
        title=say("notice.weekly.title"),
        url=f"https://discord.com/channels/{story.guild_id}/{story.channel_id}/{story.message_id}",
        description=escaped(told if told == whole else f"{told}…"),
        colour=colour(story.model),
    )
    mean = story.stars / story.votes if story.votes else 0.0
    text = say("notice.weekly.footer", model=story.model, mean=mean, count=story.votes)
    return embed.set_footer(text=text)


def proposal(opening: Opening, count: int) -> tuple[discord.Embed, ui.View]:
    """A proposal that waits for a moderator's decision, and how many wait with it."""
    embed = discord.Embed(
        title=say("opening.review.title", count=count), description=escaped(opening.text)
    )
    view = ui.View(timeout=None)
    for accepted in (True, False):
        view.add_item(decide(opening.id, accepted=accepted))
    return embed, view


def decide(opening_id: int, *, accepted: bool) -> ui.Button[ui.View]:
    """Accept or refuse a proposal."""
    how = "accept" if accepted else "refuse"
    style = discord.ButtonStyle.success if accepted else discord.ButtonStyle.secondary
    label = say("button.accept") if accepted else say("button.refuse")
    return ui.Button(label=label, custom_id=f"kataribe:opening:{how}:{opening_id}", style=style)
