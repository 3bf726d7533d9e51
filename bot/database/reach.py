"""Of several bots on one database, whose stories this one takes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, Integer, any_, bindparam, case, func, literal, true

from bot.config.shards import shard_of
from bot.database.tables import Story

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute

    from bot.config import Shards

    Column = ColumnElement[int | None] | InstrumentedAttribute[Any]
    Of = ColumnElement[bool]

SHARE = 1 << 22
"""Numbers of servers, one after the other, that are of the same shard."""
_NUMBERS = ARRAY(Integer)
HEARD_WITHIN = dt.timedelta(seconds=3)
"""After which a bot has heard that another one ended the story that it tells."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What one of several bots works on."""

    owner: str
    """Its name, as in the leases."""
    own: Shards
    """Whose servers it hears of."""
    shards: frozenset[int]
    """The numbers of those whose stories it takes: its own, and some that nobody serves."""

    def given(self) -> dict[str, Any]:
        """The parameters of `within`."""
        return {"total": self.own.total, "shards": sorted(self.shards)}

    def beside(self, guild_id: int | None) -> dict[str, Any]:
        """The same for the shards that are told with a server's: of another bot's, just that."""
        shard = shard_of(guild_id, self.own.total)
        return self.given() if shard in self.shards else self.given() | {"shards": [shard]}


def within(guild_id: Column, total: int | None = None, shards: Iterable[int] = ()) -> Of:
    """Whether a server is of some shards; PostgreSQL's alone, as several bots are.

    `total`: how many shards there are; None: that, and which, are given with the statement.
    """
    if total is None:
        of_how_many, some = bindparam("total", type_=Integer), bindparam("shards", type_=_NUMBERS)
    else:
        of_how_many, some = literal(total, Integer), literal(sorted(shards), _NUMBERS)
    # As `bot.config.shards` has it.
    return func.coalesce(guild_id, 0) // SHARE % of_how_many == any_(some)


def ours(reach: Reach | None, guild_id: Column) -> Of:
    """Whether a server's stories are ours to tell."""
    return true() if reach is None else within(guild_id, reach.own.total, reach.shards)


def freed(reach: Reach | None, moment: dt.datetime) -> dict[str, Any]:
    """The lease of a story that was ended, whoever tells it.

    Where that is another bot it writes until it has heard of it, and what is written before would
    not stand: so the end rests that long.
    """
    until: ColumnElement[dt.datetime | None] | None = None
    if reach is not None:
        told_elsewhere = Story.lease_owner != reach.owner  # unknown where nobody tells it
        rests = literal(moment + HEARD_WITHIN, Story.lease_until.type)
        until = case((told_elsewhere, rests))
    return {"lease_owner": None, "lease_until": until}
