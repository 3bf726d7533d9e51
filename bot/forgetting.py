"""All of one member: collected for them, or forgotten; however much it is, nobody else waits."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

from bot.apologies import ExportTooLargeError
from bot.database.clock import now
from bot.database.holdings import HOLDINGS, Fate
from bot.database.privacy import FEW, SPAN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.database.tables import Story
    from bot.services import Services

FILE = "kataribe.json"


async def exported(services: Services, member_id: int, limit: int) -> tuple[str, bytes]:
    """Collect everything that is kept of a member.

    Args:
        services: The bot's.
        member_id: The member.
        limit: Bytes of a file that Discord takes here; what is larger is packed.

    Returns:
        The file's name and its content.

    Raises:
        ExportTooLargeError: It is larger even when packed.
    """
    everything: dict[str, Any] = {
        "member_id": str(member_id),
        "exported_at": now().isoformat(),
    }
    for holding in HOLDINGS:
        rows: list[dict[str, Any]] = []
        while page := await services.privacy.page(holding, member_id, len(rows)):
            rows += page
        everything[holding.name] = rows
    # Of ten thousand stories this takes a second.
    return await asyncio.to_thread(_file, everything, limit)


def _file(everything: dict[str, Any], limit: int) -> tuple[str, bytes]:
    content = json.dumps(everything, ensure_ascii=False, indent=1).encode()
    if len(content) <= limit:
        return FILE, content
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(FILE, content)
    if packed.tell() > limit:
        raise ExportTooLargeError(f"{packed.tell()} bytes of {limit}")
    return f"{FILE}.zip", packed.getvalue()


async def forget(services: Services, member_id: int, *, words: bool) -> None:
    """Delete everything of a member but what limits need; see `bot.database.holdings`.

    Called a second time, as after a crash in the middle, it goes on.

    Args:
        services: The bot's.
        member_id: The member.
        words: Their stories' words go as well, and where others copied them; otherwise the
            stories stay and nobody can see whose they were.
    """
    called_off: set[int] = set()
    # Looked at again: a saga's next part may have come when its last was shown meanwhile.
    while left := [
        story
        for story in await services.privacy.unfinished(member_id)
        if story.id not in called_off
    ]:
        for story in left:
            await services.call_off(story)
            called_off.add(story.id)
    if words:
        await _forget_copies(services, member_id)
    for holding in HOLDINGS:
        match holding.fate:
            case Fate.STORY:
                while some := await services.privacy.forget_stories(member_id, words=words):
                    await _redraw(services, some)
            case Fate.DELETED if holding.name == "ratings":
                while await services.privacy.forget_ratings(member_id):
                    pass
            case _:
                while await services.privacy.forget_some(holding, member_id):
                    pass


async def draw_forgotten(services: Services) -> None:
    """Let what stands in the channels follow deletions after which the bot was stopped too soon."""
    stories = await services.privacy.lately_forgotten()
    for start in range(0, len(stories), FEW):
        await _redraw(services, stories[start : start + FEW])


async def _forget_copies(services: Services, member_id: int) -> None:
    """Take the member's words out of stories that others asked for with them.

    Words that somebody else began with first are not the member's own.
    """
    copies: dict[str, list[int]] = {}
    others: set[str] = set()
    last = await services.privacy.last_story()
    for after in range(0, last, SPAN):
        for story_id, prompt, earlier in await services.privacy.copies(member_id, after):
            if earlier:
                others.add(prompt)
            copies.setdefault(prompt, []).append(story_id)
    copied = [i for prompt, ids in copies.items() if prompt not in others for i in ids]
    for start in range(0, len(copied), FEW):
        await _redraw(services, await services.privacy.blank(copied[start : start + FEW]))


async def _redraw(services: Services, stories: Sequence[Story]) -> None:
    """Let what stands in the channels follow; a message takes its turn among the others."""
    for story in stories:
        if story.message_id is not None and story.ended_at is not None:
            services.messages.redraw(story, line_outdated=True)
    await services.redraw_following([story.id for story in stories])
