"""From a member's wish to its place in the queue: saved first, answered then."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

import discord

from bot.database.wishes import Wish

if TYPE_CHECKING:
    from bot.client import Kataribe
    from bot.database.tables import Story

_log = logging.getLogger(__name__)

SEEDS = 1_000_000
"""Seeds are drawn below this: enough stories for one beginning, and short enough to read."""
SAVED_WITHIN = 1.5
"""Seconds after which the member is told that the bot thinks: Discord gives up after three."""


async def ask(
    interaction: discord.Interaction[Kataribe],
    *,
    prompt: str,
    house_opening: bool,
    model: str,
    parent_id: int | None = None,
    introduction: str | None = None,
) -> None:
    """Put a wish into the queue and answer with the message in which it will be told.

    Args:
        interaction: The command or the press of a button; not answered yet.
        prompt: The beginning, checked.
        house_opening: It is one of the house's own.
        model: Who shall tell, as a member may write it.
        parent_id: The story that this one continues.
        introduction: A line above the story, where Discord does not say who asked.

    Raises:
        UnknownModelError: Nobody of that name can tell.
        QueueFullError: There is no room for it now.
    """
    services = interaction.client.services
    if interaction.channel_id is None:
        raise RuntimeError("an interaction outside of every channel")
    wish = Wish(
        interaction_id=interaction.id,
        guild_id=interaction.guild_id,
        channel_id=interaction.channel_id,
        member_id=interaction.user.id,
        prompt=prompt,
        house_opening=house_opening,
        model=model,
        seed=random.randrange(SEEDS),
        parent_id=parent_id,
        answer_token=interaction.token,
    )
    with services.messages.answering(interaction.id):
        saving = asyncio.create_task(services.ask([wish], _roles(interaction)))
        try:
            (story,) = await asyncio.wait_for(asyncio.shield(saving), SAVED_WITHIN)
        except TimeoutError:
            # The database is busy: the member sees that the bot thinks, and nothing is lost.
            try:
                await interaction.response.defer(thinking=True)
            except Exception:  # noqa: BLE001  # the wish may stand by now
                _log.warning("A wish is being saved and not acknowledged", exc_info=True)
            (story,) = await saving
        try:
            await _answer(interaction, story, introduction)
        except Exception:  # noqa: BLE001  # whatever it is, the wish stands
            # The wish is saved, and nothing that goes wrong now may tell the member to try again:
            # it is told in the message that may stand there, or in one of its own.
            _log.warning("The wish for story %d could not be answered", story.id, exc_info=True)
        finally:
            services.bell.ring()


def _roles(interaction: discord.Interaction[Kataribe]) -> list[int]:
    """The member's roles in the server where they asked."""
    member = interaction.user
    return [role.id for role in member.roles] if isinstance(member, discord.Member) else []


async def _answer(
    interaction: discord.Interaction[Kataribe], story: Story, introduction: str | None
) -> None:
    """Answer with the story's message, and write down which it is."""
    services = interaction.client.services
    services.messages.answered(story, None, interaction.token)
    place = await services.queue.position(story.id)
    drawing = services.messages.waits(story, place)
    if interaction.response.is_done():
        answer = await interaction.edit_original_response(
            content=introduction, embed=drawing.embed, view=drawing.view
        )
        message_id: int | None = answer.id
    else:
        callback = await interaction.response.send_message(
            introduction, embed=drawing.embed, view=drawing.view
        )
        message_id = callback.message_id
    if message_id is not None:
        services.messages.answered(story, message_id, interaction.token, place)
        await services.queue.posted(story.id, message_id)
