"""Where the database has a member's id, what of it they are given, and what becomes of it.

A test asks every table: a column with a member's id that is not named here fails it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, false

from bot.database.browsing import BLIND
from bot.database.tables import (
    Asked,
    Audit,
    Duel,
    DuelVote,
    Mute,
    Opening,
    Rating,
    Report,
    Story,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute

NOBODY = 0
"""Stands for a member who wanted to be forgotten, where a column must have one."""
MEMBERS = ("member_id", "moderator_id")
"""What columns with a member's id are called."""


class Fate(Enum):
    """What becomes of rows when their member deletes everything."""

    DELETED = "deleted"
    NAMELESS = "nameless"
    """The row stays, for it is others' as well; whose it was is forgotten."""
    STORY = "story"
    """As the member chooses; see `bot.database.privacy`."""


def _never(_moment: dt.datetime) -> ColumnElement[bool]:
    return false()


def _unless(secret: ColumnElement[bool], column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """A column, empty while its member may not know it: whom they vote on in an open duel."""
    return case((~secret, column)).label(column.key)


@dataclass(frozen=True, slots=True)
class Holding:
    """What is kept of a member by one column."""

    name: str
    """What the export calls it."""
    column: InstrumentedAttribute[Any]
    """Has the member's id."""
    given: tuple[ColumnElement[Any] | InstrumentedAttribute[Any], ...]
    """The columns that the export has: nothing of others, no token, and no secret of a duel."""
    fate: Fate
    kept: Callable[[dt.datetime], ColumnElement[bool]] = _never
    """Rows that must stay for now, at a moment: a limit that ended with a deletion is none."""


HOLDINGS = (
    Holding(
        "stories",
        Story.member_id,
        (
            Story.id,
            Story.guild_id,
            Story.channel_id,
            Story.message_id,
            Story.form,
            Story.parent_id,
            Story.part,
            Story.prompt,
            Story.house_opening,
            Story.text,
            _unless(BLIND, Story.model),
            Story.seed,
            Story.mood,
            Story.length,
            Story.private,
            Story.language,
            Story.state,
            Story.withheld,
            Story.asked_at,
            Story.told_at,
            Story.removed_at,
            Story.votes,
            Story.stars,
        ),
        Fate.STORY,
    ),
    Holding(
        "ratings",
        Rating.member_id,
        (Rating.story_id, Rating.stars, Rating.rated_at),
        Fate.DELETED,
    ),
    Holding(
        "asked",
        Asked.member_id,
        (Asked.guild_id, Asked.day, Asked.count, Asked.last_at),
        Fate.DELETED,
        kept=lambda moment: Asked.day >= moment.date(),
    ),
    Holding(
        "duels",
        Duel.member_id,
        (
            Duel.id,
            Duel.guild_id,
            Duel.channel_id,
            _unless(Duel.closed_at.is_(None), Duel.model_a),
            _unless(Duel.closed_at.is_(None), Duel.model_b),
            Duel.opened_at,
            Duel.closed_at,
        ),
        Fate.NAMELESS,
    ),
    Holding(
        "duel_votes",
        DuelVote.member_id,
        (DuelVote.duel_id, DuelVote.choice, DuelVote.voted_at),
        Fate.DELETED,
    ),
    Holding(
        "openings",
        Opening.member_id,
        (Opening.id, Opening.guild_id, Opening.text, Opening.proposed_at, Opening.accepted),
        Fate.DELETED,
    ),
    Holding(
        "reports",
        Report.member_id,
        (Report.story_id, Report.guild_id, Report.reason, Report.reported_at, Report.kept),
        Fate.DELETED,
    ),
    Holding(
        "mutes",
        Mute.member_id,
        (Mute.guild_id, Mute.until, Mute.reason),
        Fate.DELETED,
        kept=lambda moment: Mute.until > moment,
    ),
    Holding(
        "audit",
        Audit.member_id,
        (Audit.guild_id, Audit.channel_id, Audit.act, Audit.detail, Audit.reason, Audit.at),
        Fate.NAMELESS,
    ),
    # What they did as a moderator: the act stays for the other moderators, without a name.
    Holding(
        "acts",
        Audit.moderator_id,
        (Audit.guild_id, Audit.channel_id, Audit.act, Audit.reason, Audit.at),
        Fate.NAMELESS,
    ),
    Holding(
        "openings_decided",
        Opening.moderator_id,
        (Opening.id, Opening.guild_id, Opening.accepted),
        Fate.NAMELESS,
    ),
    Holding(
        "reports_decided",
        Report.moderator_id,
        (Report.story_id, Report.guild_id, Report.kept),
        Fate.NAMELESS,
    ),
    Holding("mutes_given", Mute.moderator_id, (Mute.guild_id, Mute.until), Fate.NAMELESS),
)


def held(holding: Holding, member_id: int, moment: dt.datetime) -> ColumnElement[bool]:
    """The member's rows of one holding that a deletion is to reach."""
    return and_(holding.column == member_id, ~holding.kept(moment))
