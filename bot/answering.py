"""The edge of every interaction: whose language it is answered in, and who hears of an error."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from discord import ui
from structlog.contextvars import bind_contextvars

from bot.apologies import apologise
from bot.locales import language_of, speak

if TYPE_CHECKING:
    import discord


ANSWERED_WITHIN = 0.3
"""Seconds in which an interaction is answered, or the member told that the bot thinks: a press that
shows nothing for longer is pressed again, and Discord gives up after three."""
_CAME_AT = "came_at"


def understand(interaction: discord.Interaction[Any]) -> bool:
    """Speak the member's language from now on, in the task that answers them.

    The log names the interaction wherever this task, or one that it starts, has something to say.

    Returns:
        Whether to answer it: Discord may send one again after a break, and whoever is told "no" by
        one answer and is told a story by the other understands neither.
    """
    bind_contextvars(interaction=interaction.id)
    speak(language_of(str(interaction.locale)))
    if _CAME_AT in interaction.extras:  # asked once more about the same one
        return True
    interaction.extras[_CAME_AT] = asyncio.get_running_loop().time()
    is_new: bool = interaction.client.is_new(interaction.id)
    return is_new


def left_to_answer(interaction: discord.Interaction[Any]) -> float:
    """Give how many seconds of `ANSWERED_WITHIN` are left, whatever took the others."""
    moment = asyncio.get_running_loop().time()
    came_at: float = interaction.extras.get(_CAME_AT, moment)
    return max(0.0, came_at + ANSWERED_WITHIN - moment)


class Answering:
    """What every view, modal and dynamic item of ours is beside its Discord class; named first.

    discord.py asks `interaction_check` in the task that then answers, before anything else.
    """

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Speak the member's language; nobody is turned away here."""
        return understand(interaction)

    async def on_error(
        self, interaction: discord.Interaction[Any], error: Exception, /, *_item: Any
    ) -> None:
        """Answer the member, whatever went wrong."""
        await apologise(interaction, error)


class Form(Answering, ui.Modal):
    """A modal: in the member's language, and its errors reach the member as one sentence."""
