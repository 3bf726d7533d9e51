"""What a member alone is told after a press: one message for all presses on one story, edited."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import discord

if TYPE_CHECKING:
    from discord import Interaction, WebhookMessage

_log = logging.getLogger(__name__)

KEPT = 1000
"""Confirmations that another press edits: the latest."""
EDITABLE = 14.0 * 60
"""Seconds for which one is edited: it goes with the token of the press that it answered."""


@dataclass(slots=True)
class _Confirmation:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    press_id: int = 0
    text: str = ""
    """What the latest press shall be answered with."""
    said: str = ""
    message: WebhookMessage | None = None
    until: float = 0.0
    """The event loop's time, in seconds."""


class Confirmations:
    """The latest press counts, in whatever order they arrive."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int], _Confirmation] = OrderedDict()

    async def confirm(self, interaction: Interaction[Any], story_id: int, text: str) -> None:
        """Tell the member who pressed; the interaction is acknowledged already.

        What cannot be told raises nothing: the press has counted, and an apology that asks for
        another one would undo it.
        """
        of = self._of(story_id, interaction.user.id)
        if interaction.id > of.press_id:
            of.press_id, of.text = interaction.id, text
        async with of.lock:
            now = asyncio.get_running_loop().time()
            known = of.message is not None and now < of.until
            if known and of.said == of.text:
                return  # a press that came meanwhile has said it
            text = of.text
            try:
                if not known or not await _edited(of.message, text):
                    of.message = await interaction.followup.send(text, ephemeral=True, wait=True)
                    of.until = now + EDITABLE
            except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
                _log.warning("A press on story %d is not confirmed: %s", story_id, repr(error))
            else:
                of.said = text

    def _of(self, story_id: int, member_id: int) -> _Confirmation:
        of = self._kept.pop((story_id, member_id), None) or _Confirmation()
        self._kept[story_id, member_id] = of
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return of


async def _edited(message: WebhookMessage | None, text: str) -> bool:
    """Edit it if it still stands there: the member may have dismissed it."""
    if message is None:
        return False
    try:
        await message.edit(content=text)
    except discord.NotFound:
        return False
    return True
