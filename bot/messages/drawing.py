"""A message as Discord takes it, drawn from what it shall show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.database.tables import Form, State
from bot.locales import say
from bot.messages import embeds, introductions, layouts, views
from bot.messages.telling import Phase

if TYPE_CHECKING:
    import discord
    from discord import ui

    from bot.database.duels import Duels
    from bot.database.ratings import Ratings
    from bot.database.stories import Stories
    from bot.database.tables import Story
    from bot.messages.message import StoryMessage
    from bot.messages.telling import Telling
    from bot.worker.bell import Bell
    from bot.worker.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a message shows: an embed or plain text with buttons under it, or a layout."""

    view: ui.View | ui.LayoutView
    embed: discord.Embed | None = None
    text: str | None = None
    """The story, where it stands as plain text."""
    line: str | None = None
    """What stands above the embed; written when the message is posted, and seldom again."""
    with_line: bool = False
    """What stands above the embed is written anew, or taken away."""

    def __post_init__(self) -> None:
        """Have discord.py keep no view: its buttons are known by their ids, also after a restart.

        One that is not stopped it keeps for as long as the process lives, some 12 kB a story.
        """
        self.view.stop()

    @property
    def fields(self) -> dict[str, Any]:
        """What discord.py edits a message with."""
        shown = {"embed": self.embed, "content": self.text}
        fields = {"view": self.view} | {name: value for name, value in shown.items() if value}
        return {**fields, "content": self.line or None} if self.with_line else fields

    @property
    def posted(self) -> dict[str, Any]:
        """What discord.py posts it with."""
        return self.fields | ({"content": self.line} if self.line else {})


class Artist:
    """Draws messages, and reads back what was drawn; in the language that is spoken."""

    def __init__(
        self, stories: Stories, ratings: Ratings, duels: Duels, catalogue: Catalogue, bell: Bell
    ) -> None:
        self._stories = stories
        self._duels = duels
        self._ratings = ratings
        self._catalogue = catalogue
        self._bell = bell

    async def draw(self, message: StoryMessage) -> Drawing:
        """Give what the message shall show now."""
        if message.shows_several:
            return await self._several(message)
        (telling,) = message.tellings
        # Once a message stands, the line above it stays as it is, unless it names what is gone.
        plain, anew = telling.story.plain, message.line_outdated
        new = message.message_id is None
        line = await self._line(telling.story) if plain or new or anew else None
        if telling.is_over:
            embed, view = await self._ended(telling.story)
        else:
            embed, view = self._underway(telling)
        if plain:
            return Drawing(view, text=embeds.plain(embed, line or ""))
        return Drawing(view, embed, line=line, with_line=anew)

    def read(self, message: StoryMessage, standing: discord.Message | None) -> None:
        """Learn which words stand there that another process has shown."""
        for telling in message.tellings:
            if not telling.unread:
                continue
            if standing is None:
                telling.stood("")
            elif message.shows_several:
                telling.stood(layouts.told_in(standing, telling.story))
            else:
                page = standing.embeds[0].description if standing.embeds else standing.content
                telling.stood(embeds.told_in(telling.story, page or ""))

    def _underway(self, telling: Telling) -> tuple[discord.Embed, ui.View]:
        story, text = telling.story, telling.visible_text
        if telling.phase is Phase.WAITING:
            embed = embeds.waiting(story, telling.place, text, away=self._away)
        else:
            embed = embeds.telling(story, text)
        return embed, views.unfinished(story)

    @property
    def why_nobody_tells(self) -> str:
        """The text that says why nobody tells now; empty where somebody does."""
        if self._catalogue.down:
            return "story.down"
        return "story.paused" if self._bell.paused else ""

    @property
    def _away(self) -> str:
        """The same in the member's language."""
        why = self.why_nobody_tells
        return say(why) if why else ""

    async def _ended(self, story: Story) -> tuple[discord.Embed, ui.View]:
        """The story with its stars as they are now, and its buttons."""
        stars = await self._ratings.stars(story.id) if story.state is State.TOLD else None
        return embeds.ended(story, stars), views.ended(story, self._catalogue.known)

    async def _several(self, message: StoryMessage) -> Drawing:
        away = self._away
        if message.story.form is Form.VARIATION:
            line = await self._line(message.story, "story.variations")
            return Drawing(layouts.variations(message, line, away=away))
        if message.story.form is Form.CONTRAST:
            return Drawing(layouts.contrast(message, away=away))
        found = await self._duels.of(message.story.interaction_id)
        return Drawing(layouts.duel(message, found, away=away))

    async def _line(self, story: Story, key: str = "story.posted") -> str:
        """The line above a story that nothing else introduces."""
        chain = await self._stories.thread(story, depth=introductions.LOOKED_BACK)
        return introductions.line(key, story, chain)
