"""PostgreSQL's connections for short transactions, which hand them on past the pool.

To take a connection from SQLAlchemy's pool and to bring it back, with a switch of stacks each time,
takes four times as long as the driver takes for a whole statement and its answer.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import greenlet_spawn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import PoolProxiedConnection

KEPT = 12
"""Connections at most that stay with those who write shortly, while nobody waits for one."""


class Pool(AsyncAdaptedQueuePool):
    """A pool that lends some of its connections for longer, and has them back when it has none."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self.idle: list[PoolProxiedConnection] = []
        """What is lent, and not in use. The last one used last: it is the one whose server has most
        in its caches."""
        self.asking = 0
        """Who waits for a connection."""

    def connect(self) -> PoolProxiedConnection:
        """Take a connection, or wait for one."""
        if self.idle and self.checkedin() == 0:
            self.idle.pop(0).close()
        self.asking += 1
        try:
            return super().connect()
        finally:
            self.asking -= 1


class Drivers:
    """Connections of an engine's pool, a `Pool`, that are kept while they are of use."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._closed = False

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[Any]:
        """Have a driver's connection for a while; no transaction is begun on it.

        Raises:
            OperationalError: The server cannot be reached.
        """
        pool: Any = self.engine.pool
        pooled = await self._taken(pool)
        driver = pooled.driver_connection
        try:
            yield driver
        finally:
            if not driver.is_closed() and driver.is_in_transaction():
                driver.terminate()  # its end could not be said
            # Those who wait stand in the pool's line, so there it goes while somebody does.
            full = pool.asking > 0 or len(pool.idle) == KEPT
            if self._closed or full or driver.is_closed():
                await greenlet_spawn(pooled.close)
            else:
                pool.idle.append(pooled)

    async def close(self) -> None:
        """Bring all back to the pool, and keep none any more."""
        self._closed = True
        pool: Any = self.engine.pool
        while pool.idle:
            await greenlet_spawn(pool.idle.pop().close)

    async def _taken(self, pool: Any) -> Any:
        while pool.idle:
            pooled = pool.idle.pop()
            if not pooled.driver_connection.is_closed():
                return pooled
            # The server has closed it meanwhile, of which the driver hears by itself.
            await greenlet_spawn(pooled.close)
        dbapi: Any = self.engine.dialect.dbapi
        try:
            return await self.engine.raw_connection()
        except dbapi.Error as error:
            raise OperationalError(None, None, error) from error
