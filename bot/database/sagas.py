"""A saga's next part, which is asked for by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import literal, or_, select

from bot.database.holdings import NOBODY
from bot.database.tables import Length, State, Story
from bot.database.upsert import insert_or_update

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.sql.dml import ReturningInsert


def next_part(
    session: AsyncSession, story_id: int, moment: dt.datetime
) -> ReturningInsert[int, int]:
    """The wish for what follows a saga's part, which nobody asks for: it goes on by itself.

    Its interaction is the negative of the part's number, so it is asked for once. It takes the
    token along, the one way to a private saga's reader. It gives the part's id and its member's.
    """
    nothing = {"prompt": "", "length": Length.SAGA, "state": State.QUEUED, "asked_at": moment}
    values: dict[str, Any] = {
        "interaction_id": -Story.id,
        "parent_id": Story.id,
        "part": Story.part + 1,
        "seed": Story.seed + 1,
        **{name: getattr(Story, name) for name in _GOES_ON},
        **{name: literal(value, getattr(Story, name).type) for name, value in nothing.items()},
        **{name: literal(0) for name in ("nth", "tokens", "attempts")},
        "text": literal(""),
    }
    reachable = or_(~Story.private, Story.answer_until > moment)
    goes_on = select(*values.values()).where(
        Story.id == story_id,
        Story.state == State.TOLD,
        Story.length == Length.SAGA,
        Story.shown_at.is_(None),
        Story.removed_at.is_(None),
        ~Story.final,
        # Its reader may have been forgotten before the part could be shown.
        Story.member_id != NOBODY,
        reachable,
    )
    insert = insert_or_update(session, Story).from_select(list(values), goes_on)
    once = insert.on_conflict_do_nothing(index_elements=[Story.interaction_id, Story.nth])
    return once.returning(Story.id, Story.member_id)


_GOES_ON = (
    *("guild_id", "channel_id", "member_id", "house_opening", "model", "mood", "form"),
    *("thread_of", "private", "plain", "language", "answer_token", "answer_until"),
)
"""What a saga's parts have in common."""
