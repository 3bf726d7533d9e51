"""**Stop**: a story is withdrawn, until its last word stands in the channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.apologies import NotYoursError
from bot.authority import visible_story
from bot.components.story_button import StoryButton, take_token
from bot.messages import views

if TYPE_CHECKING:
    import discord

    from bot.client import Kataribe
    from bot.database.tables import Story


class Stop(StoryButton, template=r"kataribe:cancel:(?P<story_id>\d{1,19})"):
    """For the story's member and for moderators, while it waits, is told, or is shown."""

    at_once = True

    def __init__(self, story_id: int) -> None:
        super().__init__(views.stop(story_id))
        self.story_id = story_id

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """Take it out of the queue or out of the teller's hands; its message says so then."""
        own = interaction.user.id == story.member_id
        may = own or interaction.permissions.manage_guild
        if not may and story.ended_at is None:
            raise NotYoursError(f"story {story.id} belongs to another member")
        await take_token(interaction, story)
        services = interaction.client.services
        moderator = None if own else interaction.user.id
        if not may or await services.call_off(story, moderator_id=moderator) is None:
            # It has ended, and its message does not show it: it is drawn anew.
            services.messages.redraw(await visible_story(interaction, story.id))
