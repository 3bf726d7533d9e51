"""The buttons and menus of what is browsed, as they are drawn; `bot.components` answers them.

They stand under messages that only one member sees, and outlive the bot like all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import ui

from bot.browsing.tale import title_of
from bot.database.browsing import Span
from bot.locales import say

if TYPE_CHECKING:
    from bot.browsing.lists import Listing
    from bot.database.browsing import Page

LABEL = 100
"""Characters that a choice of a menu takes."""
ACTS = {
    "read": "more.read",
    "details": "more.details",
    "picture": "more.picture",
    "post": "more.post",
    "delete": "more.delete",
    "report": "more.report",
}
"""What can be done with a story, by the word in its custom id; and how its button is labelled."""
OPEN_ID = "kataribe:open"
"""The custom id of the menu that a story is chosen from."""


def button(kind: str, story_id: int, *, row: int = 0) -> ui.Button[ui.View]:
    """One that acts on a story: a kind of `ACTS`."""
    danger = kind in {"delete", "report"}
    return ui.Button(
        label=say(ACTS[kind]),
        custom_id=f"kataribe:{kind}:{story_id}",
        style=discord.ButtonStyle.danger if danger else discord.ButtonStyle.secondary,
        row=row,
    )


def menu(story_id: int, *, delete: bool, report: bool) -> ui.View:
    """What the ⋯ under a story opens."""
    view = ui.View(timeout=None)
    for kind in ("read", "picture"):
        view.add_item(button(kind, story_id))
    for kind, wanted in (("delete", delete), ("report", report)):
        if wanted:
            view.add_item(button(kind, story_id, row=1))
    return view


def turning(story_id: int, page: int, pages: int) -> ui.View:
    """What stands under a page of a tale; the first is 1."""
    view = ui.View(timeout=None)
    for step, key in ((-1, "list.back"), (1, "list.on")) if pages > 1 else ():
        view.add_item(page_button(story_id, page + step, key, there=1 <= page + step <= pages))
    view.add_item(button("details", story_id, row=1))
    view.add_item(button("picture", story_id, row=1))
    return view


def page_button(
    story_id: int, page: int, key: str = "list.on", *, there: bool = True
) -> ui.Button[ui.View]:
    """One that turns to a page of a tale."""
    return ui.Button(
        label=say(key), custom_id=f"kataribe:page:{story_id}:{page}", disabled=not there
    )


def list_button(
    listing: Listing, page: int, label: str = "", *, there: bool = True
) -> ui.Button[ui.View]:
    """One that turns to a page of a list, or to another list."""
    return ui.Button(label=label, custom_id=listing.custom_id(page), disabled=not there)


def chooser() -> ui.Select[ui.View]:
    """The menu that a story is chosen from, without its choices."""
    return ui.Select(custom_id=OPEN_ID, placeholder=say("list.open"), row=0)


def listed(listing: Listing, page: Page) -> ui.View:
    """What stands under a list: its stories to be read, its pages, and how far back it looks."""
    view = ui.View(timeout=None)
    if page.stories:
        menu = chooser()
        for story in page.stories:
            title = title_of(story.prompt or story.opening, LABEL - 4)
            menu.add_option(label=title or "…", value=str(story.id))
        view.add_item(menu)
    if page.number > 1 or page.more:
        for step, key in ((-1, "list.back"), (1, "list.on")):
            there = page.number > 1 if step < 0 else page.more
            turn = list_button(listing, page.number + step, say(key), there=there)
            turn.row = 1
            view.add_item(turn)
    for span in Span if listing.span is not None else ():
        # The one that is shown stays at its page: so no two buttons have one custom id.
        shown = span is listing.span
        first = page.number if shown else 1
        change = list_button(listing.within(span), first, say(f"list.span.{span}"), there=not shown)
        change.row = 2
        view.add_item(change)
    return view
