"""The buttons under a story, as they are drawn; `bot.components` answers them.

What a button acts on is in its custom id, so it outlives the bot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import ui

from bot.database.duels import Choice
from bot.database.tables import State
from bot.locales import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.database.tables import Story

STARS = range(1, 6)
PRIMARY = discord.ButtonStyle.primary


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
    """The custom id of **Stop**."""
    return f"kataribe:cancel:{story_id}"


def my_turn_id(story_id: int) -> str:
    """The custom id of **My turn**, and of what it opens."""
    return f"kataribe:turn:{story_id}"


def variations_id(story_id: int) -> str:
    """The custom id of **Variations**."""
    return f"kataribe:variations:{story_id}"


def another_teller_id(story_id: int) -> str:
    """The custom id of **Another teller**."""
    return f"kataribe:tellers:{story_id}"


def teller_id(story_id: int) -> str:
    """The custom id of the choice that it opens."""
    return f"kataribe:teller:{story_id}"


def more_id(story_id: int) -> str:
    """The custom id of **⋯**."""
    return f"kataribe:more:{story_id}"


def star(story_id: int, stars: int) -> ui.Button[ui.View]:
    """One of the five stars."""
    label = say("button.star", stars=stars)
    return ui.Button(label=label, custom_id=rate_id(story_id, stars), row=0)


def again(story_id: int) -> ui.Button[ui.View]:
    """The same beginning once more."""
    return _button("button.again", again_id(story_id), row=2)


def another_teller(story_id: int) -> ui.Button[ui.View]:
    """The same beginning once more, by a teller to be chosen."""
    return _button("button.another_teller", another_teller_id(story_id), row=2)


def more(story_id: int) -> ui.Button[Any]:
    """The rest: what is seldom done with a story."""
    return _button("button.more", more_id(story_id), row=2)


def whole(story_id: int) -> ui.Button[Any]:
    """To what a message has no room for."""
    return _button("button.whole", more_id(story_id))


def go_on(story_id: int) -> ui.Button[ui.View]:
    """What happens next."""
    return _button("button.continue", continue_id(story_id), PRIMARY, row=1)


def my_turn(story_id: int) -> ui.Button[ui.View]:
    """What happens next, in the member's own words."""
    return _button("button.my_turn", my_turn_id(story_id), PRIMARY, row=1)


def variations(story_id: int) -> ui.Button[ui.View]:
    """Several ways to go on."""
    return _button("button.variations", variations_id(story_id), PRIMARY, row=1)


def pick(story: Story) -> ui.Button[Any]:
    """Go on from one of several ways."""
    return _button("button.pick", continue_id(story.id), PRIMARY, nth=story.nth + 1)


def duel_vote(story_id: int, choice: Choice) -> ui.Button[Any]:
    """What a member may say of a duel."""
    custom_id = f"kataribe:duel:{story_id}:{list(Choice).index(choice)}"
    return ui.Button(label=say(_SAID[choice]), custom_id=custom_id, style=PRIMARY)


def duel_close(story_id: int) -> ui.Button[Any]:
    """No more votes."""
    return _button("button.duel_close", f"kataribe:duel-close:{story_id}")


def read_blind(story_id: int) -> ui.Button[Any]:
    """The whole of a story of a duel."""
    return _button("button.whole", f"kataribe:duel-read:{story_id}")


_SAID = {
    Choice.A: "button.duel_a",
    Choice.B: "button.duel_b",
    Choice.TIE: "button.duel_tie",
}


def stop(story_id: int) -> ui.Button[Any]:
    """Stop the telling."""
    return _button("button.stop", stop_id(story_id))


def _button(
    text: str,
    custom_id: str,
    style: discord.ButtonStyle = discord.ButtonStyle.secondary,
    *,
    row: int | None = None,
    **values: object,
) -> ui.Button[Any]:
    label = say(text, **values)
    return ui.Button(label=label, custom_id=custom_id, style=style, row=row)


def unfinished(story: Story) -> ui.View:
    """What a story has until its last word stands in the channel."""
    return ui.View(timeout=None).add_item(stop(story.id))


def ended(story: Story, models: Sequence[str] = ()) -> ui.View:
    """What a story has that ended: everything if it was told, else only another try.

    `models`: those that can tell, as far as they are known.
    """
    view = ui.View(timeout=None)
    told = story.state is State.TOLD
    for stars in STARS if told and not story.private else ():
        view.add_item(star(story.id, stars))
    if told and not story.final:
        for button in (go_on, my_turn, variations):
            view.add_item(button(story.id))
    view.add_item(again(story.id))
    if set(models) != {story.model}:
        view.add_item(another_teller(story.id))
    if told:
        view.add_item(more(story.id))
    return view
