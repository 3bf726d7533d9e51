"""What comes of a story by a press: told anew, by another teller, or what happens next."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, Unpack

import discord
from discord import ui

from bot.answering import Answering, Form
from bot.apologies import (
    NothingToContinueError,
    NoWordsError,
    OnlyTellerError,
    StoryGoneError,
    TaleEndedError,
)
from bot.asking import SEEDS, Chosen, ask, wish_of
from bot.components.press import chosen, number
from bot.components.story_button import StoryButton, act
from bot.database.tables import Form as StoryForm
from bot.database.tables import Length, State
from bot.locales import say
from bot.messages import views
from bot.safety.beginnings import checked_prompt

if TYPE_CHECKING:
    import re

    from bot.client import Kataribe
    from bot.database.tables import Story
    from bot.database.wishes import Wish

CHOICES = 25
"""Options that Discord takes in a menu."""
WAYS = 3
"""Ways to go on that are told at once."""


class Again(StoryButton, template=r"kataribe:again:(?P<story_id>\d{1,19})"):
    """The same beginning once more, for whoever pressed."""

    def __init__(self, story_id: int) -> None:
        super().__init__(views.again(story_id))
        self.story_id = story_id

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """Ask for it with another seed."""
        await _tell_anew(interaction, story, story.model)


class AnotherTeller(StoryButton, template=r"kataribe:tellers:(?P<story_id>\d{1,19})"):
    """The same beginning once more, told by whom the member chooses."""

    def __init__(self, story_id: int) -> None:
        super().__init__(views.another_teller(story_id))
        self.story_id = story_id

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """Let them choose; nobody else sees it."""
        await _check_named(interaction, story)
        models = await interaction.client.services.catalogue.models()
        others = [model for model in models if model != story.model]
        if not others:
            raise OnlyTellerError(f"{story.model} is the only model")
        choice = ui.View(timeout=None).add_item(Teller(story.id, others))
        await interaction.response.send_message(say("tellers.choose"), view=choice, ephemeral=True)


class Teller(
    Answering,
    ui.DynamicItem[ui.Select[ui.View]],
    template=r"kataribe:teller:(?P<story_id>\d{1,19})",
):
    """Who tells a story anew."""

    def __init__(self, story_id: int, models: list[str]) -> None:
        options = [discord.SelectOption(label=model, value=model) for model in models[:CHOICES]]
        super().__init__(ui.Select(custom_id=views.teller_id(story_id), options=options))
        self.story_id = story_id

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read it back from what Discord sends when something is chosen."""
        del interaction, item
        return cls(number(match["story_id"]), [])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Ask for the story, told by who was chosen."""
        await act(interaction, self.story_id, self._chosen)

    async def _chosen(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        await _tell_anew(interaction, story, chosen(self.item))


class Continue(StoryButton, template=r"kataribe:continue:(?P<story_id>\d{1,19})"):
    """What happens next, for whoever pressed."""

    def __init__(self, story_id: int) -> None:
        super().__init__(views.go_on(story_id))
        self.story_id = story_id

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """Ask for a story that begins where this one ended."""
        await _go_on(interaction, story, "", "story.continue")


class MyTurn(StoryButton, template=r"kataribe:turn:(?P<story_id>\d{1,19})"):
    """What happens next, in the words of whoever pressed; then the model goes on."""

    def __init__(self, story_id: int) -> None:
        super().__init__(views.my_turn(story_id))
        self.story_id = story_id

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """Ask the member for their words."""
        await _check_open(interaction, story)
        limit = interaction.client.services.settings.stories.prompt_limit
        await interaction.response.send_modal(Turn(story.id, limit))


class Turn(Form):
    """Where a member writes what happens next."""

    def __init__(self, story_id: int, limit: int) -> None:
        # With an id of its own each, or of two who write at once the second would not be heard.
        super().__init__(title=say("turn.title"))
        self.story_id = story_id
        self._limit = limit
        self.words: ui.TextInput[Self] = ui.TextInput(
            style=discord.TextStyle.paragraph, max_length=limit, custom_id="words"
        )
        self.add_item(ui.Label(text=say("turn.words"), component=self.words))

    def anew(self) -> Turn:
        """Give it once more."""
        return Turn(self.story_id, self._limit)

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        """Tell on from the words."""
        await act(interaction, self.story_id, self._written)

    async def _written(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        limit = interaction.client.services.settings.stories.prompt_limit
        words = checked_prompt(self.words.value, limit)
        if not words:
            raise NoWordsError(f"nothing to read in the words of member {interaction.user.id}")
        await _go_on(interaction, story, words, "story.turn")


class Variations(StoryButton, template=r"kataribe:variations:(?P<story_id>\d{1,19})"):
    """Several short ways to go on, of which one is picked."""

    def __init__(self, story_id: int) -> None:
        super().__init__(views.variations(story_id))
        self.story_id = story_id

    async def pressed(self, interaction: discord.Interaction[Kataribe], story: Story) -> None:
        """Ask for them with neighbouring seeds."""
        await _check_open(interaction, story)
        first = _next(interaction, story, "", form=StoryForm.VARIATION, length=Length.SHORT)
        ways = [replace(first, nth=nth, seed=(first.seed + nth) % SEEDS) for nth in range(WAYS)]
        await ask(interaction, *ways)


async def _tell_anew(interaction: discord.Interaction[Kataribe], story: Story, model: str) -> None:
    await _check_named(interaction, story)
    limit = interaction.client.services.settings.stories.prompt_limit
    wish = wish_of(
        interaction,
        prompt=checked_prompt(story.prompt, limit),  # the rules may be stricter by now
        house_opening=story.house_opening,
        model=model,
        mood=story.mood,
        length=story.length,
        private=story.private,
        parent_id=story.parent_id,
    )
    await ask(interaction, wish, introduction="story.again")


async def _go_on(
    interaction: discord.Interaction[Kataribe], story: Story, words: str, introduction: str
) -> None:
    await _check_open(interaction, story)
    await ask(interaction, _next(interaction, story, words), introduction=introduction)


def _next(
    interaction: discord.Interaction[Kataribe], story: Story, words: str, **chosen: Unpack[Chosen]
) -> Wish:
    """The wish for what follows a story: its teller, mood and length go on."""
    goes_on: Chosen = {
        "mood": story.mood,
        "length": Length.LONG if story.length is Length.LONG else Length.SHORT,
        "private": story.private,
        "parent_id": story.id,
        **chosen,
    }
    return wish_of(
        interaction,
        prompt=words,
        house_opening=story.house_opening and not words,
        model=story.model,
        **goes_on,
    )


async def _check_open(interaction: discord.Interaction[Kataribe], story: Story) -> None:
    """Make sure that something can follow a story.

    Raises:
        NothingToContinueError: It was not told.
        StoryGoneError: It stands in a duel that is open.
        TaleEndedError: It is the last part of its tale.
    """
    await _check_named(interaction, story)
    if story.state is not State.TOLD:
        raise NothingToContinueError(f"story {story.id} is {story.state}")
    if story.final:
        raise TaleEndedError(f"story {story.id} is the last part")


async def _check_named(interaction: discord.Interaction[Kataribe], story: Story) -> None:
    """Make sure that everybody may know who told a story: what comes of it would say so.

    No such button stands under an open duel, but a custom id can be made up by a client.

    Raises:
        StoryGoneError: It stands in a duel that is open.
    """
    if await interaction.client.services.browsing.is_blind(story):
        raise StoryGoneError(f"story {story.id} stands in an open duel")
