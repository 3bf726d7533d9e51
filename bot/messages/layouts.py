"""Several stories in one message, as a layout: Discord takes 4,000 characters in all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import ui

from bot.database.duels import Choice
from bot.database.holdings import NOBODY
from bot.database.tables import Form, State
from bot.locales import say
from bot.messages import embeds, views
from bot.messages.telling import Phase
from bot.safety.escaping import cut, escaped, short_name, unescaped, units
from bot.safety.graphemes import length

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.database.duels import Tally
    from bot.database.tables import Duel, Story
    from bot.messages.message import StoryMessage
    from bot.messages.telling import Telling

CHARACTERS = 4000
"""Of all texts in one message together, each UTF-16 unit taken for one."""
BEGINNING = 900
"""Of how all of them begin, where it is too long to stand before each."""
ONE_BEGINNING = frozenset({Form.DUEL, Form.CONTRAST})
"""Stories that begin with the same words of a member's."""
BLIND = discord.Colour.blurple()
"""Of stories whose teller is not to be known."""
BESIDES = 270
"""Kept for what stands around a story: its name, and how far it is."""
WORDS_ID = 100
"""Of the text that has the first story's words; by it they are found again."""


def variations(message: StoryMessage, head: str, *, away: str) -> ui.LayoutView:
    """Several ways to go on, each with a button that goes on from it."""
    view = ui.LayoutView(timeout=None)
    view.add_item(ui.TextDisplay(head or say("story.continued")))
    room = room_for(message, head)
    for telling in message.tellings:
        story, name = telling.story, f"**{telling.story.nth + 1}**"
        pick = () if story.final else (views.pick(story),)
        colour = embeds.colour(story.model)
        view.add_item(box_of(telling, name, colour, room, *pick, away=away))
    add_stop(view, message)
    return view


def contrast(message: StoryMessage, *, away: str) -> ui.LayoutView:
    """A beginning told by models that are named."""
    head = _head(say("contrast.head", member=message.story.member_id), message.story)
    view = ui.LayoutView(timeout=None).add_item(ui.TextDisplay(head))
    for telling in message.tellings:
        story = telling.story
        told = telling.is_over and story.state is State.TOLD
        box = box_of(
            telling,
            f"**{short_name(story.model)}**",
            embeds.colour(story.model),
            room_for(message, head),
            *([] if story.final else [views.go_on(story.id)]),
            away=away,
            status=escaped(embeds.summary(story)) if told else None,
        )
        view.add_item(box)
    add_stop(view, message)
    return view


def duel(message: StoryMessage, found: tuple[Duel, Tally] | None, *, away: str) -> ui.LayoutView:
    """A beginning told by two models, whose names stand there once no one can vote any more.

    `found`: the duel and its votes.
    """
    told = all(one.is_over and one.story.state is State.TOLD for one in message.tellings)
    over = all(one.is_over for one in message.tellings)
    named = found is None or found[0].closed_at is not None or (over and not told)
    head = _head(say("duel.head", member=message.story.member_id), message.story)
    view = ui.LayoutView(timeout=None).add_item(ui.TextDisplay(head))
    for telling, letter in zip(message.tellings, "AB", strict=False):
        story, name = telling.story, f"**{letter}**"
        colour = BLIND
        if named:
            name, colour = f"{name} · {short_name(story.model)}", embeds.colour(story.model)
        buttons = [views.go_on(story.id)] if named and not story.final else []
        room = room_for(message, head)
        rest = views.more if named else views.read_blind
        view.add_item(box_of(telling, name, colour, room, *buttons, away=away, rest=rest))
    if found is not None and told:
        _add_votes(view, message, *found)
    elif over:
        view.add_item(ui.TextDisplay(say("duel.void")))
    add_stop(view, message)
    return view


def _add_votes(view: ui.LayoutView, message: StoryMessage, duel: Duel, tally: Tally) -> None:
    if duel.closed_at is not None:
        names = {"a": short_name(duel.model_a), "b": short_name(duel.model_b)}
        votes = {"votes_a": tally.a, "votes_b": tally.b, "ties": tally.tie}
        view.add_item(ui.TextDisplay(say("duel.result", **names, **votes)))
        return
    when = discord.utils.format_dt(duel.closes_at, "R")
    view.add_item(ui.TextDisplay(say("duel.open", votes=tally.votes, when=when)))
    story_id = message.story.id
    buttons = [views.duel_vote(story_id, choice) for choice in Choice]
    view.add_item(ui.ActionRow(*buttons, views.duel_close(story_id)))


def _head(who: str, story: Story) -> str:
    """Who asked for several stories; and how they begin, if that does not stand before each."""
    beginning = cut(escaped(story.prompt), BEGINNING) or say("story.continued")
    if story.member_id == NOBODY:
        return f"**{beginning}**"
    return who if _beginning(story) else f"{who}\n**{beginning}**"


def _beginning(story: Story) -> str:
    """How a story begins, where that stands before its words: a line of its own reads badly."""
    if story.form not in ONE_BEGINNING or not 0 < length(story.prompt.strip()) <= embeds.TITLE:
        return ""
    beginning = f"**{escaped(story.prompt).strip()}**"
    # A character of it may be a family of five: several such beginnings are no message.
    return beginning if units(beginning) <= BEGINNING else ""


def room_for(message: StoryMessage, *texts: str) -> int:
    """UTF-16 units that each story's words may have, beside these texts."""
    left = CHARACTERS - sum(units(text) for text in texts) - BESIDES
    return left // len(message.tellings) - BESIDES


def box_of(
    telling: Telling,
    name: str,
    colour: discord.Colour,
    room: int,
    *buttons: ui.Button[Any],
    away: str,
    status: str | None = None,
    rest: Callable[[int], ui.Button[Any]] = views.more,
) -> ui.Container[ui.LayoutView]:
    """One of the stories.

    Args:
        telling: What is shown of it.
        name: What stands above it.
        colour: Its edge's.
        room: UTF-16 units for its words; of more, a button leads to the whole.
        buttons: What can be done with it once it is told, besides the rest.
        away: Why nobody tells now, in a sentence; empty where they do.
        status: What stands under it; None: how far it is.
        rest: What else can be done with it.
    """
    words, whole = words_of(telling, room)
    under = status if status is not None else status_of(telling, away=away)
    box: ui.Container[ui.LayoutView] = ui.Container(
        ui.TextDisplay(name),
        ui.TextDisplay(words, id=WORDS_ID + telling.story.nth),
        accent_colour=colour,
    )
    if under:
        box.add_item(ui.TextDisplay(f"-# {under}"))
    if telling.is_over and telling.story.state is State.TOLD:
        if rest is views.more:
            last = [(views.more if whole else views.whole)(telling.story.id)]
        else:
            last = [] if whole else [rest(telling.story.id)]
        if buttons or last:
            box.add_item(ui.ActionRow(*buttons, *last))
    return box


def words_of(telling: Telling, room: int) -> tuple[str, bool]:
    """The words of a story that are shown, with a cursor while it is told; and whether all are."""
    ended, beginning = telling.is_over, _beginning(telling.story)
    text = (telling.story.text if ended else telling.visible_text).rstrip()
    text, room = text if beginning else text.lstrip(), room - units(beginning)
    end = say("story.cursor") if telling.phase is not Phase.WAITING and not ended else ""
    readable = text[: 4 * room]  # A model may tell without end.
    told, mark = escaped(readable), say("story.cut")
    if readable == text and units(told) + units(end) <= room:
        return beginning + told + end or say("story.continued"), True
    return beginning + cut(told, room - units(mark) - units(end)) + mark + end, False


def told_in(message: discord.Message, story: Story) -> str:
    """Read back the words that `words_of` drew of a story."""
    for component in _walk(message.components):
        if isinstance(component, discord.TextDisplay) and component.id == WORDS_ID + story.nth:
            words = component.content.removeprefix(_beginning(story))
            words = words.removesuffix(say("story.cursor"))
            words = words.removesuffix(say("story.cut"))
            return "" if words == say("story.continued") else unescaped(words)
    return ""


def status_of(telling: Telling, *, away: str) -> str:
    """How far a story is, in a line."""
    if telling.phase is Phase.WAITING:
        return embeds.standing(telling.place, away=away)
    if not telling.is_over:
        return say("story.telling_one")
    if telling.story.state is State.TOLD:
        return ""
    return embeds.why(telling.story)


def add_stop(view: ui.LayoutView, message: StoryMessage) -> None:
    """While any of the stories goes on, all can be stopped."""
    if not all(telling.is_over for telling in message.tellings):
        view.add_item(ui.ActionRow(views.stop(message.story.id)))


def _walk(components: list[discord.components.MessageComponentType]) -> list[discord.Component]:
    """Every component, those in containers too."""
    found: list[discord.Component] = []
    for component in components:
        found.append(component)
        found += getattr(component, "children", [])
    return found
