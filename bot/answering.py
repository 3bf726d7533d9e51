"""The edge of every interaction: whose language it is answered in, and who hears of an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discord import ui
from structlog.contextvars import bind_contextvars

from bot.apologies import apologise
from bot.locales import language_of, speak

if TYPE_CHECKING:
    import discord


def understand(interaction: discord.Interaction[Any]) -> None:
    """Speak the member's language from now on, in the task that answers them.

    The log names the interaction wherever this task, or one that it starts, has something to say.
    """
    bind_contextvars(interaction=interaction.id)
    speak(language_of(str(interaction.locale)))


class Answering:
    """What every view, modal and dynamic item of ours is beside its Discord class; named first.

    discord.py asks `interaction_check` in the task that then answers, before anything else.
    """

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Speak the member's language; nobody is turned away here."""
        understand(interaction)
        return True

    async def on_error(
        self, interaction: discord.Interaction[Any], error: Exception, /, *_item: Any
    ) -> None:
        """Answer the member, whatever went wrong."""
        await apologise(interaction, error)


class Form(Answering, ui.Modal):
    """A modal: in the member's language, and its errors reach the member as one sentence."""
