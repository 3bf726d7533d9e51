"""How a story came about: who told it with which settings, for whom, when, and how it is liked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord

from bot.browsing.tale import TITLE, title_of
from bot.config import Sampling
from bot.database.holdings import NOBODY
from bot.locales import say
from bot.messages.embeds import colour
from bot.safety.escaping import escaped
from bot.safety.words import Words

if TYPE_CHECKING:
    from discord import Interaction

    from bot.client import Kataribe
    from bot.config import Settings
    from bot.database.tables import Story

PARENTS = 5
"""Parts before it that are linked."""
FIELD = 1024
"""Characters that Discord takes in a field of an embed."""


async def details_of(interaction: Interaction[Kataribe], story: Story) -> discord.Embed:
    """Everything that there is to know about it, and may be known yet."""
    services = interaction.client.services
    blind = await services.browsing.is_blind(story)
    embed = discord.Embed(
        title=escaped(title_of(story.prompt or story.text, TITLE)),
        colour=None if blind else colour(story.model),
    )
    telling = {
        "details.model": say("details.blind") if blind else escaped(story.model),
        "details.seed": "" if blind else str(story.seed),
        "details.mood": "" if story.mood is None else escaped(story.mood),
        "details.length": say(f"details.length_of.{story.length}"),
        "details.settings": "" if blind else _settings(services.settings, story.mood),
    }
    seconds = (story.told_at - story.asked_at).total_seconds() if story.told_at else 0
    # How fast it was, and in how many tokens, tells one model from another.
    size = say(
        "details.sized", tokens=story.tokens, words=Words(f"{story.prompt}{story.text}").count
    )
    when = {
        "details.asked_by": "" if story.member_id == NOBODY else f"<@{story.member_id}>",
        "details.asked_at": discord.utils.format_dt(story.asked_at, "f"),
        "details.told_after": "" if blind else say("details.seconds", seconds=seconds),
        "details.size": "" if blind else size,
        "details.votes": say("details.nothing"),
    }
    if story.votes:
        when["details.votes"] = say("list.stars", mean=story.stars / story.votes, count=story.votes)
    for name, value in (telling | when).items():
        if value:
            embed.add_field(name=say(name), value=value[:FIELD])
    if story.parent_id is not None:
        embed.add_field(name=say("details.follows"), value=await _parents(interaction, story))
    return embed.set_footer(text=say("list.number", number=story.id))


def _settings(settings: Settings, mood: str | None) -> str:
    """What the host and the mood say of drawing words; the rest is each model's own matter."""
    given = settings.stories.model_dump(include=set(Sampling.model_fields), exclude_none=True)
    if mood in settings.moods:
        given |= settings.moods[mood].model_dump(exclude_none=True)
    return ", ".join(f"{name} {value:g}" for name, value in given.items()) or say("details.own")


async def _parents(interaction: Interaction[Kataribe], story: Story) -> str:
    """Links to the parts before it, the nearest first; a link opens only what one may see."""
    thread = await interaction.client.services.stories.thread(story, depth=PARENTS)
    links = [
        f"[{say('tale.part', part=part.part)}](https://discord.com/channels/"
        f"{part.guild_id or '@me'}/{part.channel_id}/{part.message_id})"
        for part in reversed(thread[:-1])
        if part.removed_at is None and part.message_id is not None
    ]
    return " · ".join(links) or say("details.nothing")
