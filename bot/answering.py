"""The edge of every interaction: whose language it is answered in, and who hears of an error."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

import discord
from discord import ui
from structlog.contextvars import bind_contextvars

from bot.apologies import WRITE_AGAIN, apologise
from bot.locales import language_of, name_commands, say, speak
from bot.safety.beginnings import PromptRefusedError, Refusal

ANSWERED_WITHIN = 0.3
"""Seconds in which an interaction is answered, or the member told that the bot thinks: a press that
shows nothing for longer is pressed again, and Discord gives up after three."""
FORM_LASTS = 60 * 60.0
"""Seconds in which a member may fill in a form."""
DRAFTS = 1000
"""Refused forms that are kept: the newest."""
_CAME_AT = "came_at"


def understand(interaction: discord.Interaction[Any]) -> bool:
    """Speak the member's language from now on, and name commands so that they can be clicked.

    Both hold in the task that answers them. The log names the interaction wherever this task, or
    one that it starts, has something to say.

    Returns:
        Whether to answer it: Discord may send one again after a break, and whoever is told "no" by
        one answer and is told a story by the other understands neither.
    """
    bind_contextvars(interaction=interaction.id)
    speak(language_of(str(interaction.locale)))
    name_commands(interaction.client.command_ids)
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
        """Speak the member's language; what is said again is not answered again."""
        return understand(interaction)

    async def on_error(
        self, interaction: discord.Interaction[Any], error: Exception, /, *_item: Any
    ) -> None:
        """Answer the member, whatever went wrong."""
        await apologise(interaction, error)


class Form(Answering, ui.Modal):
    """A modal: in the member's language, and its errors reach the member as one sentence.

    With the sentence comes a button that opens it again as it was sent, so nobody types it twice.
    """

    sent = False
    """Whether what stands in it was typed by a member."""

    def __init__(self, *, title: str) -> None:
        """Give it its title, in the member's language."""
        # Who closes a form tells nobody: without an end each that was opened would be kept.
        super().__init__(title=title, timeout=FORM_LASTS)

    def anew(self) -> Form:
        """The same form as it was first shown, for who writes again."""
        raise NotImplementedError

    def again(self) -> Form:
        """The same form with what was typed into it."""
        form = self.anew()
        if self.sent:
            for blank, typed in zip(form.fields, self.fields, strict=True):
                blank.default = typed.value or None
        return form

    @property
    def fields(self) -> list[ui.TextInput[Any]]:
        """Where something is typed, in order."""
        return [item for item in self.walk_children() if isinstance(item, ui.TextInput)]

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Speak the member's language, and keep what they typed in case it is refused."""
        self.sent = True
        offer_again(interaction, self)
        return await super().interaction_check(interaction)


def offer_again(
    interaction: discord.Interaction[Any],
    form: Form,
    only: type[Exception] | tuple[type[Exception], ...] = Exception,
) -> None:
    """Let a refusal of what a member typed bring a button that opens a form with it.

    `only`: the errors that have to do with what stands in the form.
    """

    def offered(error: BaseException) -> Any:
        if not isinstance(error, only):
            return discord.utils.MISSING
        if isinstance(error, PromptRefusedError) and error.refusal is Refusal.SELF_HARM:
            return discord.utils.MISSING  # who may be in danger gets help, and nothing beside it
        interaction.client.drafts.keep(interaction, form)
        return ui.View(timeout=None).add_item(write_again(interaction.id))

    interaction.extras[WRITE_AGAIN] = offered


def write_again(number: int) -> ui.Button[Any]:
    """Open the form of an interaction again."""
    return ui.Button(label=say("button.write_again"), custom_id=f"kataribe:write:{number}")


class Drafts:
    """What members typed into forms that were refused; in memory only, and the newest only."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int], Form] = OrderedDict()

    def keep(self, interaction: discord.Interaction[Any], form: Form) -> None:
        """Keep what was typed until there are `DRAFTS` newer ones."""
        self._kept[interaction.id, interaction.user.id] = form
        if len(self._kept) > DRAFTS:
            self._kept.popitem(last=False)

    def forget(self, member_id: int) -> None:
        """Keep nothing that a member typed."""
        for key in [key for key in self._kept if key[1] == member_id]:
            del self._kept[key]

    def of(self, number: int, member_id: int) -> Form | None:
        """What a member typed in an interaction; None: it is kept no longer."""
        return self._kept.get((number, member_id))
