"""Sessions with the database, where those that write at the same time share a commit on SQLite."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOGETHER = 32
"""Transactions that share one commit at most, so that the first of them waits little."""


class _Group:
    """Transactions that become one: saved together, or none of them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self.size = 0
        self.saved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when what they wrote is on the disk; has the error if it is not."""


class Sessions(async_sessionmaker[AsyncSession]):
    """Whoever writes uses `begin`; objects stay readable after their session ends.

    SQLite has one writer, and waits for the disk at each commit. Who finds it taken sleeps and
    looks again, up to a tenth of a second later, while others go first: with fifty who write, one
    waits for seconds. So they stand in line here. Who comes to the end of a transaction while
    others wait lets the next one go on in it, and returns when the last of them has committed for
    all: each is saved when its `begin` is left, and the disk is waited for once. One that fails
    takes back what it wrote itself, and nothing of the others.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        """Prepare; nothing connects yet."""
        super().__init__(engine, expire_on_commit=False)
        self._engine = engine
        self._one_writer = engine.dialect.name == "sqlite"
        self._turn = asyncio.Lock()
        self._coming = 0
        """Who waits for their turn."""
        self._group: _Group | None = None
        """What the next one joins."""

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:  # type: ignore[override]  # waits first
        """Begin a transaction that writes, when its turn has come; committed on leaving."""
        if not self._one_writer:
            async with super().begin() as session:
                yield session
            return
        await self._wait_for_turn()
        try:
            group = self._group
            if group is None:
                group = self._group = _Group(await self._begun())
            group.size += 1
            whole = False
            try:
                async with self._member_of(group) as session:
                    yield session
                whole = True
            except SQLAlchemyError:
                raise
            except Exception:
                whole = True  # it was taken back for a reason of its caller's
                raise
            finally:
                # After an error of the database's nobody knows whether the transaction still
                # stands: the commit will tell.
                if not (whole and self._coming and group.size < TOGETHER):
                    await self._commit()
        finally:
            self._turn.release()
        await asyncio.shield(group.saved)

    async def _wait_for_turn(self) -> None:
        self._coming += 1
        try:
            await self._turn.acquire()
        except asyncio.CancelledError:
            if self._coming == 1 and not self._turn.locked():
                # The one before left the commit to this one.
                await self._commit()
            raise
        finally:
            self._coming -= 1

    async def _begun(self) -> AsyncConnection:
        """A connection that has the write lock."""
        connection = await self._engine.connect()
        try:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        except BaseException:
            await connection.close()
            raise
        return connection

    @asynccontextmanager
    async def _member_of(self, group: _Group) -> AsyncIterator[AsyncSession]:
        """A transaction within the group's, which can be taken back alone."""
        session = AsyncSession(
            group.connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
        )
        async with session, session.begin():
            yield session

    async def _commit(self) -> None:
        """Save what a group wrote, and tell its members."""
        group, self._group = self._group, None
        if group is None:
            return
        try:
            # Not the connection's own: where nothing stands any more, that would do nothing.
            await group.connection.exec_driver_sql("COMMIT")
        except BaseException as error:  # noqa: BLE001  # whoever wrote must hear of it
            group.saved.set_exception(error)
            group.saved.exception()  # if nobody else was in it, nobody asks
        else:
            group.saved.set_result(None)
        finally:
            await group.connection.close()
