"""Whether there is room for a wish, and the ledger that says what was asked for on which day."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    Integer,
    and_,
    bindparam,
    case,
    column,
    exists,
    func,
    literal,
    not_,
    select,
    table,
    true,
    union_all,
)

from bot.database.columns import Moment
from bot.database.limits import ROOM_AGAIN, QueueFullError, Scope
from bot.database.places import MOMENT
from bot.database.tables import Asked, Story
from bot.database.turns import LIVE
from bot.database.upsert import SPELLINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import BindParameter, Select
    from sqlalchemy.dialects import postgresql, sqlite

    from bot.database.limits import Limits
    from bot.database.transactions import Transaction

NO_SERVER = 0
"""What the ledger has as a server outside of every one."""
_NAMES = {
    Scope.MEMBER: "per_member",
    Scope.SERVER: "per_server",
    Scope.ALL: "waiting",
    Scope.COOLDOWN: "cooldown",
    Scope.DAILY: "daily",
}
"""Of the limits."""
_DAY = bindparam("day", type_=Date)
_RESTED_SINCE = bindparam("rested_since", type_=Moment)


def _most(name: str) -> BindParameter[int]:
    return bindparam(name, type_=Integer)


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks where, by which interaction."""

    interaction_id: int
    member_id: int
    guild_id: int | None

    def measured(self, limits: Limits, moment: dt.datetime) -> Mapping[str, Any]:
        """What `admit` gives to its statements."""
        return {
            "interaction": self.interaction_id,
            "member": self.member_id,
            "guild": self.guild_id,
            "ledger": self.guild_id or NO_SERVER,
            "day": moment.date(),
            "moment": moment,
            "rested_since": moment - dt.timedelta(seconds=limits.cooldown),
            "daily": limits.daily,
            "per_member": limits.per_member,
            "per_server": limits.per_server,
            "waiting": limits.waiting,
        }


@dataclass(frozen=True, slots=True)
class Admission:
    """What a wish that was admitted begins with."""

    own: int
    """Which of its member's wishes it is."""
    story_id: int
    """The number of its first story, which nothing else has."""


async def admit(
    transaction: Transaction, by: Asking, limits: Limits, moment: dt.datetime
) -> Admission | None:
    """Write a wish into the ledger, if there is room for it; None: it was written already.

    What is deleted later stays counted: nobody gets their quota back by it. The wisher is taken.
    On PostgreSQL as many as are saved at the same time may pass the limit of all: to count them
    exactly each would have to wait for all others.

    Raises:
        QueueFullError: A limit is reached.
    """
    dialect, measured = transaction.dialect, by.measured(limits, moment)
    (found,) = await transaction.rows(_FOUND[dialect], measured)
    if found["delivered"]:
        return None
    if found["refused"] is not None:
        raise _refusal(Scope(found["refused"]), found, limits, moment)
    noted = {name: measured[name] for name in _NOTED}
    await transaction.rows(_NOTE[dialect], noted)
    return Admission(own=found["own"], story_id=found["story_id"])


def _refusal(
    scope: Scope, found: Mapping[str, Any], limits: Limits, moment: dt.datetime
) -> QueueFullError:
    """What is said of a wish for which there is no room."""
    limit = getattr(limits, _NAMES[scope])
    back_at = moment + ROOM_AGAIN
    if scope is Scope.DAILY:
        back_at = dt.datetime.combine(moment.date() + dt.timedelta(days=1), dt.time(), dt.UTC)
    elif scope is Scope.COOLDOWN:
        back_at = found["last_at"] + dt.timedelta(seconds=limits.cooldown)
    return QueueFullError(scope, limit, back_at)


def _found(dialect: str) -> Select[Any]:
    """What a wish is measured by; made once, for to make it takes longer than it does."""
    delivered = exists().where(Story.interaction_id == bindparam("interaction"))
    ledger = (
        select(Asked.day, Asked.count.label("wishes"), Asked.last_at)
        .where(
            Asked.member_id == bindparam("member"),
            Asked.guild_id == bindparam("ledger"),
            # A later one was written under a clock that was ahead.
            Asked.day <= _DAY,
        )
        .order_by(Asked.day.desc())
        .limit(1)
        .subquery()
    )
    theirs = select(func.count(Story.wish.distinct())).where(
        Story.member_id == bindparam("member"), Story.shown_at.is_(None)
    )
    # Each wish has one first story, and none before that; of "is the first" PostgreSQL would think
    # that hardly any is. Private messages are of no server, and so none of these.
    first = Story.id <= Story.wish
    of_server = select(func.count()).where(Story.server == bindparam("guild"), first)
    everybody = select(Story.id).where(Story.server.is_not(None), first)
    enough = everybody.limit(_most("waiting")).subquery()
    of_all = select(func.count()).select_from(enough).scalar_subquery()
    always = select(literal(1)).subquery()
    counted = select(
        ledger,
        delivered.label("delivered"),
        theirs.scalar_subquery().label("theirs"),
        of_server.scalar_subquery().label("of_server"),
        _OLDEST.label("oldest"),
        _NEXT_STORY[dialect].label("story_id"),
    )
    row = counted.select_from(always.outerjoin(ledger, true())).subquery()
    refusals = (
        (Scope.DAILY, and_(_most("daily") > 0, row.c.day == _DAY, row.c.wishes >= _most("daily"))),
        # A last one that is yet to come was written under a clock that was ahead, as above.
        (Scope.COOLDOWN, and_(row.c.last_at <= MOMENT, row.c.last_at > _RESTED_SINCE)),
        (Scope.MEMBER, row.c.theirs >= _most("per_member")),
        (Scope.SERVER, row.c.of_server >= _most("per_server")),
        # No more are in line than numbers were given since the oldest of them. While those are few
        # enough, which is nearly always, nobody need be counted.
        (
            Scope.ALL,
            case((row.c.story_id - row.c.oldest >= _most("waiting"), of_all >= _most("waiting"))),
        ),
    )
    refused = case(*((there, literal(scope.value)) for scope, there in refusals))
    return select(
        row.c.story_id,
        (row.c.theirs + 1).label("own"),
        row.c.last_at,
        row.c.delivered,
        refused.label("refused"),
    )


def _note(dialect: str) -> sqlite.Insert | postgresql.Insert:
    insert = SPELLINGS[dialect](Asked.metadata.tables["asked"])
    first = {
        Asked.member_id: bindparam("member", type_=BigInteger),
        Asked.guild_id: bindparam("ledger", type_=BigInteger),
        Asked.day: _DAY,
        Asked.count: literal(1),
        Asked.last_at: MOMENT,
    }
    return insert.values(first).on_conflict_do_update(
        index_elements=[Asked.member_id, Asked.guild_id, Asked.day],
        set_={"count": Asked.count + 1, "last_at": insert.excluded.last_at},
    )


_sequences = table("sqlite_sequence", column("name"), column("seq"))
_last = select(func.max(_sequences.c.seq)).where(_sequences.c.name == literal("stories"))
_NEXT_STORY: dict[str, ColumnElement[int]] = {
    # Whoever asks has SQLite for themselves until the story is written.
    "sqlite": func.coalesce(_last.scalar_subquery(), 0) + 1,
    "postgresql": func.nextval(func.pg_get_serial_sequence("stories", "id")),
}
"""The number of the next story, by database; never that of one that was deleted."""
_oldest_ids = union_all(
    *(
        select(func.min(Story.id).label("id")).where(Story.shown_at.is_(None), Story.state == state)
        for state in LIVE
    )
).subquery()
_OLDEST = select(func.min(_oldest_ids.c.id)).scalar_subquery()
_FOUND = {dialect: _found(dialect) for dialect in SPELLINGS}
_NOTE = {dialect: _note(dialect).returning(Asked.count) for dialect in SPELLINGS}
_NOTED = ("member", "ledger", "day", "moment")
"""What a note is given."""

# For PostgreSQL, which may do all at once.
_on_postgresql = _FOUND["postgresql"].subquery()
ROOM = select(_on_postgresql.c.story_id, _on_postgresql.c.own).where(
    not_(_on_postgresql.c.delivered), _on_postgresql.c.refused.is_(None)
)
"""What a wish that is new, and for which there is room, begins with; `Asking.measured` is given."""
NOTE = _note("postgresql")
"""Write it into the ledger; the same is given."""
