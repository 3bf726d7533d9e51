"""The buttons under a story, as they are drawn; `bot.components` answers them.

What a button acts on is in its custom id, so it outlives the bot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import ui

from bot.database.tables import State
from bot.locales import say

if TYPE_CHECKING:
    from bot.database.tables import Story

STARS = range(1, 6)


def rate_id(story_id: int, stars: int) -> str:
    """The custom id of a star."""
    return f"kataribe:rate:{story_id}:{stars}"


def again_id(story_id: int) -> str:
    """The custom id of **Again**."""
    return f"kataribe:again:{story_id}"


def continue_id(story_id: int) -> str:
    """The custom id of **Continue**."""
    return f"kataribe:continue:{story_id}"


def stop_id(story_id: int) -> str:
    """The custom id of **Call it off**."""
    return f"kataribe:cancel:{story_id}"


def star(story_id: int, stars: int) -> ui.Button[ui.View]:
    """One of the five stars."""
    label = say("button.star", stars=stars)
    return ui.Button(label=label, custom_id=rate_id(story_id, stars), row=0)


def again(story_id: int) -> ui.Button[ui.View]:
    """The same beginning once more."""
    return ui.Button(
        label=say("button.again"),
        custom_id=again_id(story_id),
        style=discord.ButtonStyle.primary,
        row=1,
    )


def go_on(story_id: int) -> ui.Button[ui.View]:
    """What happens next."""
    return ui.Button(
        label=say("button.continue"),
        custom_id=continue_id(story_id),
        style=discord.ButtonStyle.primary,
        row=1,
    )


def stop(story_id: int) -> ui.Button[ui.View]:
    """Call the story off."""
    return ui.Button(label=say("button.cancel"), custom_id=stop_id(story_id))


def unfinished(story: Story) -> ui.View:
    """What a story has until its last word stands in the channel."""
    return ui.View(timeout=None).add_item(stop(story.id))


def ended(story: Story) -> ui.View:
    """What a story has that ended: everything if it was told, else only another try.

    What was removed has nothing.
    """
    view = ui.View(timeout=None)
    if story.removed_at is not None:
        return view
    told = story.state is State.TOLD
    for stars in STARS if told else ():
        view.add_item(star(story.id, stars))
    view.add_item(again(story.id))
    if told:
        view.add_item(go_on(story.id))
    return view
