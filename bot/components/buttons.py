"""The buttons under a story; what they act on is in their custom id, so they outlive the bot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.apologies import AlreadyOverError, NotYoursError, StoryGoneError, apologise
from bot.asking import ask
from bot.database.tables import State
from bot.locales import say
from bot.messages import embeds

if TYPE_CHECKING:
    import re

    from bot.client import Kataribe
    from bot.database.tables import Story

STARS = range(1, 6)


def view_of(story: Story) -> ui.View:
    """The buttons that a story has in its present state."""
    view = ui.View(timeout=None)
    if story.state in {State.QUEUED, State.TELLING}:
        return view.add_item(Cancel(story.id))
    if story.state is State.TOLD:
        for stars in STARS:
            view.add_item(Rate(story.id, stars))
    view.add_item(Again(story.id))
    if story.state is State.TOLD:
        view.add_item(Continue(story.id))
    return view


class StoryButton(ui.DynamicItem[ui.Button[ui.View]], template=r"(?!)"):
    """What every button does: find its story, act, and answer the member whatever happens.

    The groups of a button's template are the numbers that its `__init__` takes.
    """

    story_id: int

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the button back from what Discord sends when it is pressed."""
        del interaction, item
        return cls(*map(int, match.groups()))  # type: ignore[arg-type]  # each button's own

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Act; discord.py only logs what a dynamic item raises, so nothing may get away."""
        try:
            await self.pressed(interaction, await self._story(interaction.client))
        except Exception as error:  # noqa: BLE001  # answered, and logged if nobody foresaw it
            await apologise(interaction, error)

    async def _story(self, client: Kataribe) -> Story:
        story = await client.services.stories.get(self.story_id)
        if story is None:
            raise StoryGoneError(f"no story {self.story_id}")
        return story

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """What the button is for."""
        raise NotImplementedError


class Rate(StoryButton, template=r"kataribe:rate:(?P<story_id>\d{1,19}):(?P<stars>[1-5])"):
    """One to five stars: one vote a member, which another press changes."""

    def __init__(self, story_id: int, stars: int) -> None:
        super().__init__(
            ui.Button(
                label=say("button.star", stars=stars),
                custom_id=f"kataribe:rate:{story_id}:{stars}",
                row=0,
            )
        )
        self.story_id = story_id
        self.stars = stars

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """Keep the vote, thank for it, and bring the average up to date."""
        assert interaction.message is not None  # noqa: S101  # the one with the button
        client = interaction.client
        vote = await client.services.ratings.rate(
            story.id, interaction.user.id, self.stars, interaction.id
        )
        # Acknowledged like this, the press can edit the message where the bot is no member.
        await interaction.response.defer()
        client.stage.answered(story, interaction.message.id, interaction, None)
        client.stage.rated(story)
        stars = vote.stars or 0
        drawn = "★" * stars + "☆" * (STARS[-1] - stars)
        await interaction.followup.send(say("rated.thanks", drawn=drawn), ephemeral=True)


class Again(StoryButton, template=r"kataribe:again:(?P<story_id>\d{1,19})"):
    """The same beginning once more, for whoever pressed."""

    def __init__(self, story_id: int) -> None:
        super().__init__(
            ui.Button(
                label=say("button.again"),
                custom_id=f"kataribe:again:{story_id}",
                style=discord.ButtonStyle.primary,
                row=1,
            )
        )
        self.story_id = story_id

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """Ask for it with another seed."""
        await ask(
            interaction,
            prompt=story.prompt,
            house_opening=story.house_opening,
            model=story.model,
            parent_id=story.parent_id,
            introduction=say("story.again", member=interaction.user.id),
        )


class Continue(StoryButton, template=r"kataribe:continue:(?P<story_id>\d{1,19})"):
    """What happens next, for whoever pressed."""

    def __init__(self, story_id: int) -> None:
        super().__init__(
            ui.Button(
                label=say("button.continue"),
                custom_id=f"kataribe:continue:{story_id}",
                style=discord.ButtonStyle.primary,
                row=1,
            )
        )
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


class Cancel(StoryButton, template=r"kataribe:cancel:(?P<story_id>\d{1,19})"):
    """Call a story off before it is told; for its member and for moderators."""

    def __init__(self, story_id: int) -> None:
        super().__init__(
            ui.Button(label=say("button.cancel"), custom_id=f"kataribe:cancel:{story_id}")
        )
        self.story_id = story_id

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """Take it out of the queue or out of the teller's hands, and show its end."""
        own = interaction.user.id == story.member_id
        if not own and not interaction.permissions.manage_guild:
            raise NotYoursError(f"story {story.id} belongs to another member")
        client = interaction.client
        ended = await client.services.queue.cancel(
            story.id, story.member_id, moderator_id=None if own else interaction.user.id
        )
        if ended is None:
            raise AlreadyOverError(f"story {story.id} has ended")
        client.services.wake()
        # The dispatcher shows it too, after any words on their way, but it may have no way left to
        # edit the message: where the bot is no member, only an interaction can, for a while.
        await interaction.response.edit_message(embed=embeds.ended(ended), view=view_of(ended))


BUTTONS = (Rate, Again, Continue, Cancel)
"""What the client listens for, whether or not it has seen the message before."""
