"""★ 1 to 5: one vote a member and story."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.apologies import StoryGoneError
from bot.components.story_button import StoryButton, take_token
from bot.database.tables import Form
from bot.locales import say
from bot.messages import views

if TYPE_CHECKING:
    import discord

    from bot.client import Kataribe
    from bot.database.tables import Story


class Rate(StoryButton, template=r"kataribe:rate:(?P<story_id>\d{1,19}):(?P<stars>[1-5])"):
    """Another press changes the vote, and the star that one gave takes it back."""

    at_once = True

    def __init__(self, story_id: int, stars: int) -> None:
        super().__init__(views.star(story_id, stars))
        self.story_id = story_id
        self.stars = stars

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """Keep the vote and confirm it; the average is brought up to date after any press."""
        if story.form is not Form.STORY:
            # There are no stars under several stories. Of a duel that is open `/ranking` would say
            # by them whose story it is.
            raise StoryGoneError(f"story {story.id} is one of several: it has no stars")
        await take_token(interaction, story)
        services = interaction.client.services
        vote = await services.ratings.rate(
            story.id, interaction.user.id, self.stars, interaction.id
        )
        await services.confirmations.confirm(interaction, story.id, _confirmation(vote))


def _confirmation(stars: int | None) -> str:
    if stars is None:
        return say("rated.taken_back")
    return say("rated.thanks", drawn="★" * stars + "☆" * (views.STARS[-1] - stars))
