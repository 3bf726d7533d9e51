"""Taking a story's words away for good."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from bot.database.clock import now
from bot.database.in_order import take
from bot.database.reach import freed
from bot.database.tables import Report, State, Story
from bot.database.trail import Act, entry
from bot.database.turns import moving
from bot.database.unbroken import unbroken
from bot.database.wishes import PLAIN

if TYPE_CHECKING:
    from bot.database.sessions import Sessions


class Removed(StrEnum):
    """Who took a story away, as its row says under `withheld`."""

    BY_AUTHOR = "deleted"
    BY_MODERATOR = "removed"


@unbroken
class Removals:
    """What is removed keeps its row, for what counts it: no quota comes back, no id is reused."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def remove(
        self, story_id: int, *, moderator_id: int | None = None, reason: str = ""
    ) -> Story | None:
        """Blank a story's words, in one transaction with all that follows; None: they were.

        One that waits or is told is called off by it, and reports of it are decided. It comes to
        its end anew: whoever holds its lease loses it, and that it is gone is shown in its message
        as every end is, however often the bot is started until then.

        Args:
            story_id: The story.
            moderator_id: The moderator who does it, which leaves a line in the trail; None: the
                member who asked for the story.
            reason: Why, in the moderator's words.
        """
        moment = now()
        by = Removed.BY_AUTHOR if moderator_id is None else Removed.BY_MODERATOR
        statement = (
            update(Story)
            .where(Story.id == story_id, Story.removed_at.is_(None))
            .values(
                prompt="",
                text="",
                removed_at=moment,
                withheld=by,
                state=State.CANCELLED,
                ended_at=moment,
                shown_at=None,
                **freed(self._sessions.reach, moment),
            )
            .returning(Story)
        )
        async with self._sessions.begin() as session, moving(session, story_id):
            story: Story | None = await session.scalar(statement, execution_options=PLAIN)
            if story is None:
                return None
            reports = select(Report.id).where(Report.story_id == story_id, Report.kept.is_(None))
            await take(session, [Report.id], reports)
            await session.execute(
                update(Report)
                .where(Report.story_id == story_id, Report.kept.is_(None))
                .values(kept=False, moderator_id=moderator_id)
            )
            if moderator_id is not None and story.guild_id is not None:
                session.add(
                    entry(
                        story.guild_id,
                        moderator_id,
                        Act.REMOVE,
                        f"story {story.id}",
                        reason=reason,
                        channel_id=story.channel_id,
                        member_id=story.member_id,
                    )
                )
            return story
