"""A page of the trail, and a page of who asked for what, as moderators see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import ui

from bot.database.trail import Act
from bot.locales import say
from bot.messages.framed import Framed, whom
from bot.messages.trail_details import detail_of
from bot.safety.escaping import cut, escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.database.tables import Audit, Story

LINES = 10
"""Lines of a page."""
REASON, BEGINNING = 100, 60
"""Characters of each that are shown; ten lines fit into an embed's 4,096."""
NOBODY = 0
ANYTHING = "any"


def trail_id(before: int, act: Act | None, moderator_id: int | None) -> str:
    """The custom id of **Older** in the trail: everything that its next page is found by."""
    which = act.replace(" ", "-") if act is not None else ANYTHING
    return f"kataribe:trail:{before}:{which}:{moderator_id or NOBODY}"


def asked_id(before: int, member_id: int | None) -> str:
    """The custom id of **Older** in the list of who asked for what."""
    return f"kataribe:asked:{before}:{member_id or NOBODY}"


def trail_page(
    lines: Sequence[Audit], act: Act | None = None, moderator_id: int | None = None
) -> Framed:
    """What moderators did, the newest first.

    Args:
        lines: One more than a page has means that there is an older page.
        act: Only what was done so is looked for.
        moderator_id: Only what this member did.
    """
    shown = [_line(line) for line in lines[:LINES]]
    older = trail_id(lines[LINES - 1].id, act, moderator_id) if len(lines) > LINES else None
    return _page(say("trail.title"), shown or [say("trail.empty")], older)


def asked_page(
    stories: Sequence[Story], link: Callable[[Story], str | None], member_id: int | None = None
) -> Framed:
    """Who asked for which story, the newest first.

    Args:
        stories: One more than a page has means that there is an older page.
        link: The address of a story's message; None where its reader may not see the channel.
        member_id: Only this member's are looked for.
    """
    shown = [_story(story, link(story)) for story in stories[:LINES]]
    older = asked_id(stories[LINES - 1].id, member_id) if len(stories) > LINES else None
    return _page(say("asked.title"), shown or [say("asked.empty")], older)


def _page(title: str, lines: Sequence[str], older: str | None) -> Framed:
    view = ui.View(timeout=None)
    if older is not None:
        view.add_item(ui.Button(label=say("trail.older"), custom_id=older))
    return Framed(discord.Embed(title=title, description="\n".join(lines)), view)


def _line(line: Audit) -> str:
    act = line.act.replace(" ", "_")
    detail = detail_of(line.act, line.detail)
    # "muted somebody until then", and not "muted until then of somebody".
    is_whom = line.member_id is not None and line.act in {Act.MUTE, Act.UNMUTE}
    if is_whom:
        detail = say("trail.whom", member=whom(line.member_id), detail=detail)
    said = say(
        "trail.line",
        when=discord.utils.format_dt(line.at, "R"),
        moderator=whom(line.moderator_id),
        act=say(f"trail.act.{act}"),
        detail=detail,
    ).rstrip()
    if line.channel_id is not None:
        said += " " + say("trail.channel", channel=line.channel_id)
    if line.member_id is not None and not is_whom:
        said += " " + say("trail.member", member=whom(line.member_id))
    if line.reason:
        said += "\n" + say("trail.reason", reason=cut(escaped(line.reason), REASON))
    return said


def _story(story: Story, link: str | None) -> str:
    said = say(
        "asked.line",
        when=discord.utils.format_dt(story.asked_at, "R"),
        member=whom(story.member_id),
        channel=story.channel_id,
    )
    if link is None:
        return said
    whole = escaped(" ".join(f"{story.prompt}{story.text}".split()))
    kept = cut(whole, BEGINNING)
    words = kept if kept == whole else f"{kept}…"
    return f"{said} [{words or say('asked.no_words')}]({link})"
