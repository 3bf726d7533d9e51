"""Of several bots on one database: what this one takes over, and lets go of again."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from bot.config.shards import shard_of
from bot.database import server_lock
from bot.database.clock import agree, now
from bot.database.processes import processes
from bot.database.reach import Reach
from bot.database.server_lock import paused, served

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.config import Shards
    from bot.database import Database
    from bot.database.processes import Process
    from bot.database.queue import Queue
    from bot.database.server_lock import Member
    from bot.worker.bell import Bell

_log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two looks at who is there."""
UNSERVED_FOR = 3.0
"""Seconds after which a shard that nobody serves is taken over: a restart takes about as long."""


class Fleet:
    """Looks who is there once a second, and has the dispatcher look at its stories then.

    So whatever another bot did is known here in that time, though no word of it came. Any bot can
    write any message; of a shard that nobody serves one of them does, the one that serves the next,
    so that it never has two.
    """

    def __init__(
        self,
        database: Database,
        member: Member,
        bell: Bell,
        gave_back: Callable[[Callable[[int | None], bool]], None] = lambda _: None,
    ) -> None:
        """`gave_back`: told of which servers another bot tells from now on, who was away."""
        # Each statement is for itself.
        self._direct = database.direct.execution_options(isolation_level="AUTOCOMMIT")
        self._sessions = database.sessions
        self._member = member
        self._bell = bell
        self._gave_back = gave_back
        bell.others = self
        self._looking: AsyncConnection | None = None
        """What it looks by: one of its own, for one that dies in silence keeps who waits for it."""
        self._pausing: AsyncConnection | None = None
        """Lives as long as the host wants a pause that was asked for here."""
        self._asked = 0
        """Grows when a pause, or its end, is asked for here, and when it is there."""
        self._missed_since: dict[int, float] = {}
        """Of each shard that was not served when it was looked last, since when it was not."""
        self._ours_from: float | None = float("-inf")
        """From when on nobody else writes what is ours; None: another may have our shards. Who took
        them over while we were cut off has seen by then that they are served again."""
        self._set(frozenset())

    async def begin(self, queue: Queue) -> None:
        """Keep the database's time, as all do, and take what those left who were here before.

        Our shards are ours by now.
        """
        async with self._direct.connect() as connection:
            asked_at = now()
            moment = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
            agree(moment + (now() - asked_at) / 2)
            owners = set((await served(connection)).values())
        if "" not in owners:  # one's name cannot be read, so nobody is known to be dead
            await queue.release_dead(owners)

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                try:
                    async with asyncio.timeout(server_lock.ANSWERS_WITHIN):
                        await self.look()
                except (SQLAlchemyError, OSError) as error:
                    _log.debug("Who else is there cannot be seen now: %s", error)
                    await self._look_away()
                self._bell.ring()
                await asyncio.sleep(EVERY)
        finally:
            await self._look_away()
            await self._let_go()

    async def look(self) -> None:
        """See which shards are served, and take over what was not for a while."""
        asked, began = self._asked, asyncio.get_running_loop().time()
        if self._looking is None:
            self._looking = await self._direct.connect()
        others = {number: owner for (number, _), owner in (await served(self._looking)).items()}
        pause = await paused(self._looking)
        if self._asked == asked:  # else it was seen before, or on the way
            self._bell.paused = pause
        moment, own = asyncio.get_running_loop().time(), self._member.shards
        if any(others.get(number) != self._member.owner for number in own.numbers):
            self._ours_from = None
        elif self._ours_from is None:
            self._ours_from = began + UNSERVED_FOR
        elif self._ours_from <= began:
            self._bell.sure_at = began
        self._missed_since = {
            number: self._missed_since.get(number, moment)
            for number in range(own.total)
            if not (number in own.numbers or number in others)
        }
        unserved = {
            number for number, since in self._missed_since.items() if moment - since >= UNSERVED_FOR
        }
        self._set(_next_ones(unserved, own, others))

    async def pause(self) -> None:
        """Let no bot begin anything."""
        self._asked += 1
        await self._let_go()
        self._pausing = await self._direct.connect()
        await server_lock.pause(self._pausing)
        self._asked += 1

    async def resume(self) -> None:
        """Let all go on, whoever paused."""
        self._asked += 1
        async with self._sessions() as session:
            await server_lock.resume(session)
        await self._let_go()
        self._asked += 1

    async def processes(self) -> list[Process]:
        """Look who there is, and for which shards there is nobody."""
        async with self._sessions() as session:
            return await processes(session)

    async def _let_go(self) -> None:
        """Want no pause any more; only its connection's end says so."""
        held, self._pausing = self._pausing, None
        await _end(held)

    async def _look_away(self) -> None:
        """Look by another connection next time, and miss nobody who was not to be seen meanwhile.

        A server that was away has let go of everybody, and all come back in some order.
        """
        held, self._looking = self._looking, None
        self._missed_since.clear()
        await _end(held)

    def _set(self, taken: frozenset[int]) -> None:
        before, own = self._sessions.reach, self._member.shards
        if before is not None and (more := taken - before.shards):
            _log.warning("Nobody serves shards %s: their stories are told here", sorted(more))
        self._sessions.reach = reach = Reach(self._member.owner, own, taken.union(own.numbers))
        if before is not None and (less := before.shards - reach.shards):
            _log.info("Shards %s are served again: their stories are told there", sorted(less))
            self._gave_back(lambda guild_id: shard_of(guild_id, own.total) in less)


async def _end(held: AsyncConnection | None) -> None:
    if held is not None:
        await held.invalidate()
        await held.close()


def _next_ones(unserved: Collection[int], own: Shards, others: Mapping[int, str]) -> frozenset[int]:
    """Those that nobody serves of which we serve the next one after."""
    ours = set[int]()
    for number in unserved:
        after = (number + step for step in range(1, own.total))
        following = (one % own.total for one in after)
        heir = next(one for one in following if one in own.numbers or one in others)
        if heir in own.numbers:
            ours.add(number)
    return frozenset(ours)
