"""PostgreSQL's connections for short transactions, which hand them on past the pool.

To take a connection from SQLAlchemy's pool and to bring it back, with a switch of stacks each time,
takes four times as long as the driver takes for a whole statement and its answer.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import OperationalError
from sqlalchemy.util import greenlet_spawn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine

KEPT = 12
"""Connections that stay with those who write shortly; the others of the pool are for all."""


class Drivers:
    """Connections that are taken from an engine's pool, and kept while they are of use."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._idle: list[Any] = []
        """The last one used last: it is the one whose server has most in its caches."""
        self._asking = 0
        """Who waits for one of the pool's."""
        self._closed = False

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[Any]:
        """Have a driver's connection for a while; no transaction is begun on it.

        Raises:
            OperationalError: The server cannot be reached.
        """
        pooled = await self._taken()
        driver = pooled.driver_connection
        try:
            yield driver
        finally:
            if not driver.is_closed() and driver.is_in_transaction():
                driver.terminate()  # its end could not be said
            # Those who wait stand in the pool's line, so there it goes while somebody does.
            full = self._asking > 0 or len(self._idle) == KEPT
            if self._closed or full or driver.is_closed():
                await greenlet_spawn(pooled.close)
            else:
                self._idle.append(pooled)

    async def close(self) -> None:
        """Bring all back to the pool, and keep none any more."""
        self._closed = True
        while self._idle:
            await greenlet_spawn(self._idle.pop().close)

    async def _taken(self) -> Any:
        while self._idle:
            pooled = self._idle.pop()
            if not pooled.driver_connection.is_closed():
                return pooled
            # The server has closed it meanwhile, of which the driver hears by itself.
            await greenlet_spawn(pooled.close)
        dbapi: Any = self.engine.dialect.dbapi
        self._asking += 1
        try:
            return await self.engine.raw_connection()
        except dbapi.Error as error:
            raise OperationalError(None, None, error) from error
        finally:
            self._asking -= 1
