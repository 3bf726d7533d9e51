"""The processes of a bot on PostgreSQL, for people: which shards each serves, who is missing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from bot.config import Shards
from bot.database.server_lock import served

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession


@dataclass(frozen=True, slots=True)
class Process:
    """Some shards, one after the other, and who serves them."""

    shards: Shards
    owner: str
    """Its name, as in the leases; empty: nobody serves them."""

    @property
    def place(self) -> str:
        """Machine and process id; empty: nobody serves them."""
        return self.owner.rpartition(":")[0]


async def processes(session: AsyncSession | AsyncConnection) -> list[Process]:
    """Look who lives, in one query, in the order of their shards; none where nobody has shards."""
    owners = await served(session)
    # All count the same: whoever did not would not have been let in.
    total = max((total for _, total in owners), default=0)
    by_shard = [(number, owners.get((number, total), "")) for number in range(total)]
    return [
        Process(Shards(numbers[0], numbers[-1], total), owner)
        for owner, some in groupby(by_shard, key=lambda one: one[1])
        if (numbers := [number for number, _ in some])
    ]
