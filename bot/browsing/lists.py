"""A list of stories: what it is of, one page of it, and how that looks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import discord

from bot.browsing.passages import passage
from bot.browsing.tale import title_of
from bot.browsing.visible import viewer
from bot.database.browsing import Span
from bot.database.ratings import FEW
from bot.database.word_index import terms
from bot.locales import say
from bot.safety.escaping import escaped, short_name, units

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

    from discord import Interaction

    from bot.client import Kataribe
    from bot.database.browsing import Found, Page

WORDS = 60
"""Characters that a search takes, and UTF-16 units of it that a custom id has room for."""
OPENING = 120
"""UTF-16 units of a story that a list shows."""
TITLES = {
    "new": "list.new",
    "mine": "list.mine",
    "search": "list.search",
    Span.DAY: "list.top_day",
    Span.WEEK: "list.top_week",
    Span.MONTH: "list.top_month",
    Span.ALL: "list.top_all",
}
COLOUR = discord.Colour(0xE69F00)


@dataclass(frozen=True, slots=True)
class Listing:
    """Which list: `new`, `mine`, the best within a span, or what has certain words."""

    kind: str
    span: Span | None = None
    words: str = ""

    TEMPLATE = (
        r"kataribe:list:(?P<kind>new|mine|top|search)-(?P<span>day|week|month|all)?"
        r":(?P<page>\d{1,3})(?::(?P<words>[^:\n]{1,60}))?"
    )
    """Its custom id: all that has to be known after a restart."""

    @classmethod
    def read(cls, found: re.Match[str]) -> tuple[Self, int]:
        """Give the list and the page of a custom id."""
        kind, span = found["kind"], found["span"]
        listing = cls(
            kind, Span(span or Span.WEEK) if kind == "top" else None, found["words"] or ""
        )
        return listing, int(found["page"])

    @classmethod
    def search(cls, typed: str) -> Self:
        """What has the words that a member typed, as far as a custom id can hold them."""
        words = terms(typed)
        while units(" ".join(words)) > WORDS:
            words.pop()
        return cls("search", words=" ".join(words))

    def within(self, span: Span) -> Self:
        """The same list over another span."""
        return replace(self, span=span)

    def custom_id(self, page: int) -> str:
        """What a button that turns to a page of it is called."""
        words = f":{self.words}" if self.words else ""
        return f"kataribe:list:{self.kind}-{self.span or ''}:{page}{words}"

    async def page(self, interaction: Interaction[Kataribe], number: int) -> Page:
        """Read one page of it, for the member who asks."""
        browsing, who = interaction.client.services.browsing, viewer(interaction)
        match self.kind:
            case "top":
                return await browsing.top(who, self.span or Span.WEEK, number)
            case "mine":
                return await browsing.mine(who, number)
            case "search":
                return await browsing.search(who, self.words, number)
            case _:
                return await browsing.new(who, number)

    def embed(self, page: Page) -> discord.Embed:
        """One page of it, as it stands in a message."""
        title = say(TITLES[self.span or self.kind], words=escaped(self.words))
        match self.kind:
            case "top":
                none = say("list.none_top", votes=FEW)
            case "search":
                none = say("list.none_found")
            case _:
                none = say("list.none")
        words = terms(self.words)
        lines = [line_of(story, words) for story in page.stories] or [none]
        embed = discord.Embed(title=title, description="\n\n".join(lines), colour=COLOUR)
        if page.number > 1 or page.more:
            embed.set_footer(text=say("list.page", page=page.number))
        return embed


def line_of(story: Found, words: Sequence[str] = ()) -> str:
    """A story in a list: how it begins, who told it, how it is liked, and where it stands.

    `words`: what was searched for; where it does not begin with them, what stands around them.
    """
    # As in the story's own message: one reads on, and not from a line of two words. A part that
    # went on by itself has no beginning of its own.
    prompt = title_of(story.prompt, OPENING)
    begins = f"**{escaped(prompt)}**" if prompt else say("story.continued")
    told, length = title_of(story.opening, OPENING), len(story.prompt)
    shown = (0, len(prompt)), (length, length + len(told))
    if (around := passage(story.prompt + story.text, words, shown, OPENING)) is not None:
        begins += f" {say('story.continued')} {around}" if prompt else f" {around}"
    else:
        spaced = story.opening[:1].isspace() or not prompt
        begins += f" {escaped(told)}" if spaced else escaped(told)
    facts = [say("list.number", number=story.id)]
    if story.votes:
        facts.append(say("list.stars", mean=story.stars / story.votes, count=story.votes))
    if story.part > 1:
        facts.append(say("tale.part", part=story.part))
    facts.append(short_name(story.model) if story.model else say("list.blind"))
    facts.append(discord.utils.format_dt(story.told_at, "R"))
    if story.message_id is not None:
        facts.append(f"[{say('list.jump')}]({jump(story)})")
    return f"{begins}\n-# {' · '.join(facts)}"


def jump(story: Found) -> str:
    """Where a story's message stands."""
    server = story.guild_id or "@me"
    return f"https://discord.com/channels/{server}/{story.channel_id}/{story.message_id}"
