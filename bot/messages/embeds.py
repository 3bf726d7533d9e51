"""What a story looks like in its message, at every moment of its way."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import discord

from bot.database.removals import Removed
from bot.database.tables import State
from bot.locales import say
from bot.safety.escaping import cut, escaped, unescaped, units
from bot.safety.graphemes import length
from bot.safety.words import Words

if TYPE_CHECKING:
    from bot.database.ratings import Stars
    from bot.database.tables import Story

DESCRIPTION_LIMIT = 4096
"""Characters that Discord takes as an embed's description, each UTF-16 unit taken for one."""
CONTENT_LIMIT = 2000
"""Characters that Discord takes as a message's plain text, counted in the same way."""
WHY = "\n\n-# "
"""What stands between the words of a story that came to no end and why it did not."""
PLAIN_MARK = "\n\n"
"""What stands between the line above a story in plain text and the story: no line has it."""
TITLE = 120
"""Graphemes of a beginning that stands in bold."""


def waiting(story: Story, place: int | None, text: str = "", *, away: str = "") -> discord.Embed:
    """A story in the queue; `place` 1 is next, None is not known.

    `text`: what was shown of it before its telling broke off; `away`: as for `standing`.
    """
    footer = standing(place, away=away)
    return _embed(story, _page(story.prompt, text.rstrip()), footer)


def standing(place: int | None, *, away: str) -> str:
    """Where a story stands in the queue, in a line; `away`: why nobody tells now, if it is so."""
    if away:
        return away
    if place is None or place <= 1:
        return say("story.next")
    return say("story.waiting", place=place)


def telling(story: Story, text: str) -> discord.Embed:
    """A story while it is told, with a cursor after its newest word."""
    page = _page(story.prompt, text.rstrip(), end=say("story.cursor"))
    return _embed(story, page, say("story.telling", model=story.model))


def told_in(story: Story, page: str) -> str:
    """Read back the words that stand after the beginning."""
    if story.plain:
        # The line above it, and the one under it.
        page = page.partition(PLAIN_MARK)[2].rpartition("\n-# ")[0]
    beginning = _page(story.prompt, "")
    if story.ended_at is not None:
        page = page.partition(WHY)[0]
    page = page.removesuffix(say("story.cursor")).removesuffix(say("story.cut"))
    return unescaped(page.removeprefix(beginning)) if page.startswith(beginning) else ""


def plain(embed: discord.Embed, line: str) -> str:
    """What an embed says, as plain text under a line of who asked for it."""
    # Under an embed it is letter for letter; here a model's name could be a link.
    footer = "\n-# " + escaped(embed.footer.text or "")
    page = embed.description or ""
    room = CONTENT_LIMIT - units(line) - units(PLAIN_MARK) - units(footer)
    if units(page) > room:
        mark = say("story.cut")
        page = cut(page, room - units(mark)) + mark
    return f"{line}{PLAIN_MARK if line else ''}{page}{footer}"


def ended(story: Story, stars: Stars | None = None) -> discord.Embed:
    """A story as it ended: the whole of it, or a sentence why there is none."""
    if story.removed_at is not None:
        return _embed(story, f"-# {gone(story)}", story.model)
    if story.state is State.TOLD:
        return _embed(story, page_of(story), summary(story, stars))
    end = WHY + why(story)
    return _embed(story, _page(story.prompt, story.text.rstrip(), end=end), story.model)


def gone(story: Story) -> str:
    """Who removed a story, in a sentence."""
    by_author = story.withheld == Removed.BY_AUTHOR
    return say("story.deleted" if by_author else "story.removed")


def why(story: Story) -> str:
    """Why there is no whole story."""
    if story.removed_at is not None:
        return gone(story)
    return say("story.withheld" if story.withheld else f"story.{story.state}")


def page_of(story: Story) -> str:
    """A told story as a page, cut to what a message holds."""
    return _page(story.prompt, story.text.rstrip())


def _embed(story: Story, description: str, footer: str) -> discord.Embed:
    embed = discord.Embed(description=description, colour=colour(story.model))
    return embed.set_footer(text=footer)


def colour(model: str) -> discord.Colour:
    """A colour of the model's own, the same on every day and machine."""
    hue = zlib.crc32(model.encode()) % 360 / 360
    return discord.Colour.from_hsv(hue, 0.55, 0.9)


def _page(prompt: str, text: str, *, end: str = "") -> str:
    """The beginning, what was told after it, and what stands at the end of the page.

    A beginning that is short as a title is stands in bold; longer ones are hard to read so.
    """
    beginning = escaped(prompt).strip()
    if not beginning:
        beginning = say("story.continued")
    elif length(prompt) <= TITLE and "\n" not in beginning:
        beginning = f"**{beginning}**"
    else:
        # Escaped together: half an invite may end the one, and the other half begin the other.
        beginning, text = "", f"{prompt}{text}"
    readable = text[: 4 * DESCRIPTION_LIMIT]  # A model may tell without end.
    told = escaped(readable)
    room = DESCRIPTION_LIMIT - units(beginning) - units(end)
    if readable == text and units(told) <= room:
        return beginning + told + end
    mark = say("story.cut")
    return beginning + cut(told, room - units(mark)) + mark + end


def summary(story: Story, stars: Stars | None = None) -> str:
    """Who told it with which seed, how long it is, and what it was given."""
    words = Words(f"{story.prompt}{story.text}").count
    footer = say("story.footer", model=story.model, seed=story.seed, count=words)
    if story.final:
        footer += say("story.end")
    if stars is None or not stars.count:
        return footer
    return footer + say("story.rated", mean=stars.mean, count=stars.count)
