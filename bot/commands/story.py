"""/story: hear a story."""

from __future__ import annotations

import functools
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import discord
from discord import TextStyle, app_commands, ui

from bot.answering import Form, offer_again
from bot.asking import Chosen, ask, places, wish_of
from bot.commands.model import CHOICES, suggest
from bot.database.limits import QueueFullError
from bot.database.tables import Length
from bot.locales import say
from bot.openings import OPENINGS, fitting, opening, some
from bot.safety.beginnings import PromptRefusedError, checked_prompt
from bot.safety.escaping import cut, units
from bot.worker.completions_server import NAME_LIMIT  # noqa: TC001  # discord.py reads it

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.client import Kataribe

SURPRISE = "kataribe:surprise"
"""What *Surprise me* sends in place of a beginning: nothing that anybody types by accident."""
AT_FIRST = 8
"""Openings that are offered before anything is typed."""
CHOICE_LIMIT = 100
"""UTF-16 units of a suggestion that Discord takes at its strictest."""

TYPED = 4000
"""Characters that a form's field takes: what is too long for a beginning is shortened there."""
MOOD_LIMIT = 32
LARGEST_SEED = 2**53 - 1
"""Discord's whole numbers go no further."""


def left_to_us(prompt: str) -> bool:
    """Whether the bot shall begin: *Surprise me* was chosen, or typed by who did not choose it."""
    return prompt == SURPRISE or _letters(prompt) == _letters(say("command.story.surprise"))


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


async def begin(
    interaction: discord.Interaction[Kataribe], typed: str
) -> list[app_commands.Choice[str]]:
    """What was typed, then *Surprise me*, then openings that fit; none of them has to be taken.

    What is too long for a suggestion is taken as it is typed.
    """
    if units(typed) > CHOICE_LIMIT:
        return []
    own = await interaction.client.services.openings.accepted(interaction.guild_id)
    first, others = [], some(AT_FIRST, own)
    with suppress(PromptRefusedError):
        words = checked_prompt(typed, interaction.client.services.settings.stories.prompt_limit)
        if 0 < units(words) <= CHOICE_LIMIT:
            first, others = [words], fitting(words, own)
    choices = [app_commands.Choice(name=say("command.story.surprise"), value=SURPRISE)]
    choices[:0] = [app_commands.Choice(name=text, value=text) for text in first]
    choices += [app_commands.Choice(name=text, value=text) for text in others if text not in first]
    return choices[:CHOICES]


async def suggest_moods(
    interaction: discord.Interaction[Kataribe], typed: str
) -> list[app_commands.Choice[str]]:
    """Moods whose name contains what was typed so far."""
    wanted = typed.strip().casefold()
    moods = await interaction.client.services.moods(interaction.guild_id)
    names = [mood for mood in moods if wanted in mood]
    return [app_commands.Choice(name=mood, value=mood) for mood in names[:CHOICES]]


class BeginningForm(Form):
    """A beginning that was refused, for its member to mend; all else stays as it was chosen."""

    def __init__(
        self, prompt: str, tell: Callable[[discord.Interaction[Kataribe], str], Awaitable[None]]
    ) -> None:
        """Show what was typed; `tell` asks for what stands there when the form is sent."""
        super().__init__(title=say("beginning.title"))
        self._given = prompt, tell
        typed = say("command.story.surprise") if left_to_us(prompt) else prompt
        self._prompt: ui.TextInput[Any] = ui.TextInput(
            default=cut(typed, TYPED), style=TextStyle.paragraph, max_length=TYPED
        )
        self.add_item(ui.Label(text=say("beginning.label"), component=self._prompt))

    def anew(self) -> BeginningForm:
        """Give it once more."""
        return BeginningForm(*self._given)

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Ask for what stands there now."""
        await self._given[1](interaction, self._prompt.value)


async def tell_or_mend(
    interaction: discord.Interaction[Kataribe],
    prompt: str,
    tell: Callable[[discord.Interaction[Kataribe], str], Awaitable[None]],
) -> None:
    """Ask for a story; where its beginning is refused, let the member mend it in a form."""
    form = BeginningForm(prompt, tell)
    offer_again(interaction, form, only=(PromptRefusedError, QueueFullError))
    await tell(interaction, prompt)


LENGTHS = [
    app_commands.Choice(name=say("length.short"), value=Length.SHORT.value),
    app_commands.Choice(name=say("length.long"), value=Length.LONG.value),
    app_commands.Choice(name=say("length.saga"), value=Length.SAGA.value),
]


@app_commands.command(name="story", description=say("command.story.description"))
@app_commands.describe(
    prompt=say("command.story.prompt"),
    model=say("command.story.model"),
    mood=say("command.story.mood"),
    length=say("command.story.length"),
    seed=say("command.story.seed"),
    private=say("command.story.private"),
)
@app_commands.autocomplete(prompt=begin, model=suggest, mood=suggest_moods)
@app_commands.choices(length=LENGTHS)
async def story(
    interaction: discord.Interaction[Kataribe],
    prompt: str,
    model: app_commands.Range[str, 1, NAME_LIMIT] | None = None,
    mood: app_commands.Range[str, 1, MOOD_LIMIT] | None = None,
    length: str | None = None,
    seed: app_commands.Range[int, 0, LARGEST_SEED] | None = None,
    private: bool = False,
) -> None:
    """Check what was given, choose what was not, and ask.

    The prompt is required: Discord would drop words typed after a command without such an option.
    """
    tell = functools.partial(
        _tell, model=model, mood=mood, length=length, seed=seed, private=private
    )
    await tell_or_mend(interaction, prompt, tell)


async def _tell(
    interaction: discord.Interaction[Kataribe],
    prompt: str,
    *,
    model: str | None,
    mood: str | None,
    length: str | None,
    seed: int | None,
    private: bool,
) -> None:
    services = interaction.client.services
    given = "" if left_to_us(prompt) else prompt
    beginning = checked_prompt(given, services.settings.stories.prompt_limit)
    if not beginning:
        beginning = opening(await services.openings.accepted(interaction.guild_id))
    wanted = Length(length) if length else await services.length(interaction.guild_id)
    chosen: Chosen = {"length": wanted, "private": private}
    if mood is not None:
        chosen["mood"] = await services.mood(mood, interaction.guild_id)
    if seed is not None:
        chosen["seed"] = seed
    wish = wish_of(
        interaction,
        prompt=beginning,
        house_opening=beginning in OPENINGS,
        model=(model or "").strip()
        or await services.teller(interaction.guild_id, *places(interaction)),
        **chosen,
    )
    # Above the answer to a form Discord does not say whose it is.
    by_form = interaction.type is discord.InteractionType.modal_submit
    await ask(interaction, wish, introduction="story.posted" if by_form else None)
