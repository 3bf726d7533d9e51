"""The line above a story: who asked for it, which part of which tale it is, who wrote along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.database.holdings import NOBODY
from bot.locales import say
from bot.safety.escaping import cut, escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.database.tables import Story

LOOKED_BACK = 100
"""Parts of a tale that are looked at for its beginning and its writers."""
TITLE = 60
"""UTF-16 units of a tale's name, which is its beginning."""
NAMED = 10
"""Writers that are named."""
OF_A_SERVER = "https://discord.com/channels/{guild}/{channel}/{message}"


def line(key: str, story: Story, chain: Sequence[Story]) -> str:
    """Say who asked, which part of which tale a continuation is, and who wrote its words.

    Args:
        key: The text that says who asked, and what for.
        story: The story.
        chain: What it follows, oldest first and itself last.

    Returns:
        Lines that name nobody who wanted to be forgotten; it may be none.
    """
    lines = [] if story.member_id == NOBODY else [say(key, member=story.member_id)]
    *earlier, _ = chain
    if not earlier:
        return "\n".join(lines)
    link, before = jump(earlier[-1]), earlier[-1].part
    of_what = "story.part" if link else "story.part_unlinked"
    lines.append(say(of_what, part=story.part, title=title(chain[0]), before=before, link=link))
    written = [part.member_id for part in chain if is_written(part)]
    writers = [writer for writer in dict.fromkeys(written) if writer != NOBODY]
    if writers and any(is_written(part) for part in chain[1:]):
        names = ", ".join(f"<@{writer}>" for writer in writers[:NAMED])
        lines.append(say("story.writers", writers=names))
    return "\n".join(lines)


def is_written(part: Story) -> bool:
    """It begins with a member's own words."""
    return bool(part.prompt) and not part.house_opening


def title(first: Story) -> str:
    """A tale's name: how it begins."""
    name = " ".join(first.prompt.split())
    return cut(escaped(name), TITLE) or say("story.continued")


def jump(story: Story) -> str | None:
    """Where a story stands, as a link; None where nobody else can go."""
    if story.message_id is None or story.private:
        return None
    guild = story.guild_id or "@me"
    return OF_A_SERVER.format(guild=guild, channel=story.channel_id, message=story.message_id)
