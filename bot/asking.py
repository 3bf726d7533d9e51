"""From a member's wish to its place in the queue: saved first, answered then."""

from __future__ import annotations

import logging
import random
from contextlib import suppress
from typing import TYPE_CHECKING

import discord

from bot.database.queue import Wish
from bot.worker.completions import GeneratorDownError

if TYPE_CHECKING:
    from bot.client import Kataribe

_log = logging.getLogger(__name__)

SEEDS = 1_000_000
"""Seeds are drawn below this: enough stories for one beginning, and short enough to read."""


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
    client = interaction.client
    queue = client.services.queue
    if interaction.channel_id is None:
        raise RuntimeError("an interaction outside of every channel")
    with suppress(GeneratorDownError):  # The wish is kept until the generator is back.
        model = await client.catalogue.find(model)
    story = await queue.enqueue(
        Wish(
            interaction_id=interaction.id,
            guild_id=interaction.guild_id,
            channel_id=interaction.channel_id,
            member_id=interaction.user.id,
            prompt=prompt,
            house_opening=house_opening,
            model=model,
            seed=random.randrange(SEEDS),
            parent_id=parent_id,
        )
    )
    try:
        place = await queue.position(story.id)
        drawing = client.stage.answer(story, place)
        answer = await interaction.response.send_message(
            introduction, embed=drawing.embed, view=drawing.view
        )
        if answer.message_id is not None:
            await queue.posted(story.id, answer.message_id)
            client.stage.answered(story, answer.message_id, interaction, place)
    except discord.HTTPException as error:
        # The wish is saved: it is told in a message of its own, posted when its turn comes.
        _log.warning("The wish for story %d could not be answered: %s", story.id, error)
    finally:
        client.services.wake()
