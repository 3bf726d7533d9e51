"""What every press on something of a story does: find it, act, and answer the member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.apologies import StoryGoneError, apologise
from bot.browsing.visible import standing_story
from bot.components.press import Button, Pressable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import discord

    from bot.client import Kataribe
    from bot.database.tables import Story


class StoryButton(Pressable[Button], template=r"(?!)"):
    """A button of `bot.messages.views`."""

    story_id: int
    at_once = False
    """The press is taken before anything is read: its answer is no message of its own."""

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Act."""
        await act(interaction, self.story_id, self.pressed, at_once=self.at_once)

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """What the button is for."""
        raise NotImplementedError


async def act(
    interaction: discord.Interaction[Kataribe],
    story_id: int,
    pressed: Callable[[discord.Interaction[Kataribe], Story], Awaitable[None]],
    *,
    at_once: bool = False,
) -> None:
    """Do what a press is for.

    Whatever becomes of it, the message of a story that ended is drawn anew: what stands wrong in it
    repairs itself. discord.py only logs what a dynamic item raises, so nothing may get away.
    """
    try:
        if at_once:
            await interaction.response.defer()
        story = await standing_story(interaction, story_id)
        shown = interaction.message
        _check_is_of(shown, story)
        try:
            await pressed(interaction, story)
        finally:
            if story.ended_at is not None and shown is not None and stands_in(shown, story):
                interaction.client.services.messages.redraw(story, shown.id)
    except Exception as error:  # noqa: BLE001  # answered, and logged if nobody foresaw it
        await apologise(interaction, error)


def _check_is_of(message: discord.Message | None, story: Story) -> None:
    """What everybody sees has buttons of its own story alone; a menu is its reader's.

    Where the database was set back to an older copy, stories of later messages have the numbers of
    others by now.

    Raises:
        StoryGoneError: It is the message of another.
    """
    if message is not None and not message.flags.ephemeral and not stands_in(message, story):
        raise StoryGoneError(f"story {story.id} does not stand in message {message.id}")


def stands_in(message: discord.Message, story: Story) -> bool:
    """The message is the one that shows the story, not another with a button of it."""
    if story.message_id is not None:
        return message.id == story.message_id
    answers = message.interaction_metadata
    if answers is not None and answers.id != story.interaction_id:
        return False  # it is another's, and this story's is only not written down yet
    return bool(message.flags.ephemeral) is story.private


async def take_token(interaction: discord.Interaction[Kataribe], story: Story) -> None:
    """Keep the fresh way to write the message with the button that a taken press brings."""
    assert interaction.message is not None  # noqa: S101  # the one with the button
    services = interaction.client.services
    if not stands_in(interaction.message, story):
        return
    services.messages.pressed(story, interaction.message, interaction.token)
    if story.shown_at is None:
        await services.queue.answerable(story.id, interaction.token)
