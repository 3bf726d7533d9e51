"""**Again** and **Continue**: the same beginning told anew, or what happens next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.asking import ask
from bot.components.story_button import StoryButton
from bot.locales import say
from bot.messages import views
from bot.safety.beginnings import checked_prompt

if TYPE_CHECKING:
    import discord

    from bot.client import Kataribe
    from bot.database.tables import Story


class Again(StoryButton, template=r"kataribe:again:(?P<story_id>\d{1,19})"):
    """The same beginning once more, for whoever pressed."""

    def __init__(self, story_id: int) -> None:
        super().__init__(views.again(story_id))
        self.story_id = story_id

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """Ask for it with another seed."""
        limit = interaction.client.services.settings.stories.prompt_limit
        await ask(
            interaction,
            prompt=checked_prompt(story.prompt, limit),  # the rules may be stricter by now
            house_opening=story.house_opening,
            model=story.model,
            parent_id=story.parent_id,
            introduction=say("story.again", member=interaction.user.id),
        )


class Continue(StoryButton, template=r"kataribe:continue:(?P<story_id>\d{1,19})"):
    """What happens next, for whoever pressed."""

    def __init__(self, story_id: int) -> None:
        super().__init__(views.go_on(story_id))
        self.story_id = story_id

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """Ask for a story that begins where this one ended."""
        await ask(
            interaction,
            prompt="",
            house_opening=story.house_opening,
            model=story.model,
            parent_id=story.id,
            introduction=say("story.continue", member=interaction.user.id),
        )
