"""What every button under a story does: find its story, act, and answer the member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from discord import ui

from bot.answering import Answering
from bot.apologies import StoryGoneError, apologise

if TYPE_CHECKING:
    import re

    import discord

    from bot.client import Kataribe
    from bot.database.tables import Story


class StoryButton(Answering, ui.DynamicItem[ui.Button[ui.View]], template=r"(?!)"):
    """A button of `bot.messages.views`, found by its custom id.

    Whatever becomes of the press, the message of a story that ended is drawn anew: what stands
    wrong in it repairs itself.
    The groups of its template are the numbers that its `__init__` takes.
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
            story = await self._story(interaction.client)
            try:
                await self.pressed(interaction, story)
            finally:
                if story.ended_at is not None and interaction.message is not None:
                    services = interaction.client.services
                    services.messages.redraw(story, interaction.message.id)
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


async def acknowledge(interaction: discord.Interaction[Kataribe], story: Story) -> None:
    """Take the press, and with it a fresh way to write the message it was on."""
    assert interaction.message is not None  # noqa: S101  # the one with the button
    services = interaction.client.services
    await interaction.response.defer()
    services.messages.pressed(story, interaction.message, interaction.token)
    if story.shown_at is None:
        await services.queue.answerable(story.id, interaction.token)
