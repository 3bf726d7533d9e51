"""Under a duel: which one told it better, a tie, and its close by whoever asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord

from bot.apologies import NotYourDuelError, StoryGoneError
from bot.components.story_button import StoryButton, take_token
from bot.database.duels import Choice
from bot.database.ratings import check_account
from bot.database.tables import Form
from bot.locales import say
from bot.messages import embeds, views
from bot.safety.escaping import escaped

if TYPE_CHECKING:
    from bot.client import Kataribe
    from bot.database.tables import Duel, Story

CHOICES = tuple(Choice)


class Vote(StoryButton, template=r"kataribe:duel:(?P<story_id>\d{1,19}):(?P<choice>[012])"):
    """One vote a member, changeable until the duel closes."""

    at_once = True

    def __init__(self, story_id: int, choice: int) -> None:
        super().__init__(views.duel_vote(story_id, CHOICES[choice]))
        self.story_id = story_id
        self.choice = CHOICES[choice]

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """Keep the vote, and tell who voted whom they voted on."""
        _check_is_duel(story)
        await take_token(interaction, story)
        services = interaction.client.services
        check_account(interaction.user.id, services.settings.votes)
        duel, choice = await services.duels.vote(
            story.interaction_id, interaction.user.id, self.choice, interaction.id
        )
        await services.confirmations.confirm(interaction, story.id, _confirmation(duel, choice))


class CloseDuel(StoryButton, template=r"kataribe:duel-close:(?P<story_id>\d{1,19})"):
    """No more votes; for whoever asked for the duel, and for moderators."""

    at_once = True

    def __init__(self, story_id: int) -> None:
        super().__init__(views.duel_close(story_id))
        self.story_id = story_id

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """Close it; its message is drawn anew with the names and the votes."""
        _check_is_duel(story)
        if interaction.user.id != story.member_id and not interaction.permissions.manage_guild:
            raise NotYourDuelError(f"duel of story {story.id} belongs to another member")
        await take_token(interaction, story)
        await interaction.client.services.duels.close(story.interaction_id)


class ReadBlind(StoryButton, template=r"kataribe:duel-read:(?P<story_id>\d{1,19})"):
    """The whole of a story that a duel has no room for, without its teller's name."""

    def __init__(self, story_id: int) -> None:
        super().__init__(views.read_blind(story_id))
        self.story_id = story_id

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """Show it to who pressed."""
        _check_is_duel(story)
        page = discord.Embed(description=embeds.page_of(story))
        await interaction.response.send_message(embed=page, ephemeral=True)


def _check_is_duel(story: Story) -> None:
    """A custom id can be made up by a client."""
    if story.form is not Form.DUEL:
        raise StoryGoneError(f"story {story.id} is in no duel")


def _confirmation(duel: Duel, choice: Choice) -> str:
    """What a member alone is told: their vote, who told which, until when they can change it."""
    return say(
        f"duel.voted_{choice}",
        a=escaped(duel.model_a),
        b=escaped(duel.model_b),
        when=discord.utils.format_dt(duel.closes_at, "R"),
    )
