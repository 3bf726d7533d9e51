"""How much may be asked for, and what was: the queue's caps, a pause between two, a quota."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import (
    ColumnElement,
    Integer,
    bindparam,
    column,
    exists,
    func,
    literal,
    select,
    table,
    true,
)

from bot.database.clock import now
from bot.database.tables import Asked, Story
from bot.database.upsert import SPELLINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Select
    from sqlalchemy.sql.dml import ReturningInsert

    from bot.config import Queue as QueueSettings
    from bot.database.transactions import Transaction

NO_SERVER = 0
"""What the ledger has as a server outside of every one."""
ROOM_AGAIN = dt.timedelta(minutes=1)
"""After which a full queue is worth another try: stories take seconds."""


class Scope(StrEnum):
    """Whose limit was reached."""

    MEMBER = "member"
    SERVER = "server"
    ALL = "all"
    COOLDOWN = "cooldown"
    DAILY = "daily"
    RUSH = "rush"
    """Too many ask at this moment."""


class QueueFullError(Exception):
    """There is no room for a further wish now."""

    def __init__(self, scope: Scope, limit: float, back_at: dt.datetime) -> None:
        super().__init__(f"the limit of {limit:g} is reached ({scope}) until {back_at}")
        self.scope = scope
        self.limit = limit
        self.back_at = back_at
        """When it is worth another try."""


ANSWERED_AT_ONCE = 16
"""Wishes that are saved and answered at the same time. Each takes some hundredths of a second."""
RUSH_PASSES = dt.timedelta(seconds=5)


class Rush:
    """How many wishes are being answered now; those that would wait long are turned away at once.

    Discord gives three seconds. Without a bound everybody waits in a rush, and nobody hears why.
    """

    def __init__(self) -> None:
        self._answered = 0

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Save a wish and answer it.

        Raises:
            QueueFullError: Too many are being answered.
        """
        if self._answered >= ANSWERED_AT_ONCE:
            raise QueueFullError(Scope.RUSH, ANSWERED_AT_ONCE, now() + RUSH_PASSES)
        self._answered += 1
        try:
            yield
        finally:
            self._answered -= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one member may ask for in one server; the stories of one interaction count once."""

    per_member: int
    """Wishes of a member that wait or are being told, in all servers together."""
    per_server: int
    """The same for a server."""
    waiting: int
    """The same for everybody together."""
    cooldown: float = 0.0
    """Seconds between two wishes of a member in a server."""
    daily: int = 0
    """Wishes of a member in a server on one day, in UTC; 0: as many as they like."""

    @classmethod
    def of(cls, settings: QueueSettings) -> Self:
        """Give the host's own, which hold where a server has set none."""
        return cls(**{name: getattr(settings, name) for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks where, by which interaction."""

    interaction_id: int
    member_id: int
    guild_id: int | None


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
    day, guild_id = moment.date(), by.guild_id or NO_SERVER
    of_whom = {
        "interaction": by.interaction_id,
        "member": by.member_id,
        "guild": by.guild_id,
        "ledger": guild_id,
        "day": day,
        "enough": limits.waiting,
    }
    dialect = transaction.dialect
    (found,) = await transaction.rows(_FOUND[dialect], of_whom)
    if found["delivered"]:
        return None
    _check(found, limits, moment)
    counted = {"member_id": by.member_id, "guild_id": guild_id, "day": day}
    await transaction.rows(_COUNTING[dialect], {**counted, "count": 1, "last_at": moment})
    return Admission(own=found["theirs"] + 1, story_id=found["story_id"])


def _check(found: Mapping[str, Any], limits: Limits, moment: dt.datetime) -> None:
    """Refuse a wish for which there is no room."""
    if limits.daily and found["day"] == moment.date() and found["wishes"] >= limits.daily:
        tomorrow = dt.datetime.combine(moment.date() + dt.timedelta(days=1), dt.time(), dt.UTC)
        raise QueueFullError(Scope.DAILY, limits.daily, tomorrow)
    if limits.cooldown and found["last_at"] is not None and found["last_at"] <= moment:
        again = found["last_at"] + dt.timedelta(seconds=limits.cooldown)
        if moment < again:
            raise QueueFullError(Scope.COOLDOWN, limits.cooldown, again)
    caps = (
        (Scope.MEMBER, limits.per_member, found["theirs"]),
        (Scope.SERVER, limits.per_server, found["of_server"]),
        (Scope.ALL, limits.waiting, found["of_all"]),
    )
    for scope, limit, wishing in caps:
        if wishing >= limit:
            raise QueueFullError(scope, limit, moment + ROOM_AGAIN)


def _found(dialect: str) -> Select[Any]:
    """What a wish is measured by; made once, for to make it takes longer than it does."""
    delivered = exists().where(Story.interaction_id == bindparam("interaction"))
    ledger = (
        select(Asked.day, Asked.count.label("wishes"), Asked.last_at)
        .where(
            Asked.member_id == bindparam("member"),
            Asked.guild_id == bindparam("ledger"),
            # A later one was written under a clock that was ahead.
            Asked.day <= bindparam("day", type_=Asked.day.type),
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
    enough = everybody.limit(bindparam("enough", type_=Integer)).subquery()
    of_all = select(func.count()).select_from(enough)
    always = select(literal(1)).subquery()
    return select(
        ledger,
        delivered.label("delivered"),
        theirs.scalar_subquery().label("theirs"),
        of_server.scalar_subquery().label("of_server"),
        of_all.scalar_subquery().label("of_all"),
        _NEXT_STORY[dialect].label("story_id"),
    ).select_from(always.outerjoin(ledger, true()))


def _counting(dialect: str) -> ReturningInsert[int]:
    insert = SPELLINGS[dialect](Asked.metadata.tables["asked"])
    return insert.on_conflict_do_update(
        index_elements=[Asked.member_id, Asked.guild_id, Asked.day],
        set_={"count": Asked.count + 1, "last_at": insert.excluded.last_at},
    ).returning(Asked.count)


_sequences = table("sqlite_sequence", column("name"), column("seq"))
_last = select(func.max(_sequences.c.seq)).where(_sequences.c.name == literal("stories"))
_NEXT_STORY: dict[str, ColumnElement[int]] = {
    # Whoever asks has SQLite for themselves until the story is written.
    "sqlite": func.coalesce(_last.scalar_subquery(), 0) + 1,
    "postgresql": func.nextval(func.pg_get_serial_sequence("stories", "id")),
}
"""The number of the next story, by database; never that of one that was deleted."""
_FOUND = {dialect: _found(dialect) for dialect in SPELLINGS}
_COUNTING = {dialect: _counting(dialect) for dialect in SPELLINGS}
