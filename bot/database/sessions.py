"""Sessions with the database, where those that write at the same time share a commit on SQLite."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
)

from bot.database.drivers import Drivers
from bot.database.sqlite_driver import SqliteTransaction, done
from bot.database.transactions import on_the_driver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy.engine import ExceptionContext

    from bot.database.reach import Reach
    from bot.database.transactions import Transaction

TOGETHER = 32
"""Transactions that share one commit at most, so that the first of them waits little."""


class _Group:
    """Transactions that become one: saved together, or none of them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        sync: Any = connection.sync_connection
        self._driver: Any = sync.connection.driver_connection
        self.size = 0
        self.empty = False
        """The first has taken back what it wrote, and with it the whole."""
        self.saved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when what they wrote is on the disk; has the error if it is not."""
        self.trouble: BaseException | None = None
        """Why all that they wrote is lost."""

    @property
    def stands(self) -> bool:
        """Whether there is still a transaction: some errors end it, as that of a full disk does."""
        sync = self.connection.sync_connection
        if self.empty or self.trouble is not None or sync is None or sync.invalidated:
            return False
        try:
            return bool(self._driver.in_transaction)
        except (ValueError, sqlite3.Error):  # so does a connection say that it is closed
            return False

    async def do(self, words: str) -> None:
        """Begin it or end it, or a part of it."""
        await done(self.connection, self._driver, words)

    def transaction(self) -> SqliteTransaction:
        """Give it to who writes without a session."""
        return SqliteTransaction(self.connection, self._driver)


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
        self.reach: Reach | None = None
        """Of several bots on the database: what this one takes. None: it is the only one."""
        self._engine = engine
        self._drivers = Drivers(engine)
        self.one_writer = engine.dialect.name == "sqlite"
        """Nobody else writes within a transaction."""
        if self.one_writer:
            event.listen(engine.sync_engine, "handle_error", self._failed)
        self._turn = asyncio.Lock()
        self._coming = 0
        """Who waits for their turn."""
        self._group: _Group | None = None
        """What the next one joins."""
        self._refusal: SQLAlchemyError | None = None
        """Why the last transaction could not be begun."""
        self._refused_from = 0.0
        """When that was tried."""

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:  # type: ignore[override]  # waits first
        """Begin a transaction that writes, when its turn has come; committed on leaving."""
        if not self.one_writer:
            async with super().begin() as session:
                yield session
            return
        async with self._in_turn() as group:
            mode = "rollback_only" if group.size == 1 else "create_savepoint"
            session = AsyncSession(
                group.connection, expire_on_commit=False, join_transaction_mode=mode
            )
            async with session, session.begin():
                yield session

    @asynccontextmanager
    async def short(
        self, *, single: bool = False, taking: Sequence[int] = ()
    ) -> AsyncIterator[Transaction]:
        """Begin what `begin` does, without a session's comforts, for what every story meets.

        Args:
            single: Each statement may be one, which PostgreSQL commits without being told to.
            taking: What PostgreSQL locks until the end, in this order; SQLite has one writer.
        """
        if not self.one_writer:
            async with on_the_driver(self._drivers, single=single, taking=taking) as transaction:
                yield transaction
            return
        async with self._in_turn() as group:
            first = group.size == 1
            if not first:
                await group.do("SAVEPOINT a_member")
            try:
                yield group.transaction()
            except BaseException:
                if group.stands:
                    await group.do("ROLLBACK" if first else "ROLLBACK TO a_member")
                raise
            if not first:
                await group.do("RELEASE a_member")

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[_Group]:
        """Write within a group on SQLite; what is written is saved on leaving.

        Whoever is the first in it must take back all that the group wrote when they fail, and
        others what they wrote themselves.
        """
        came = asyncio.get_running_loop().time()
        await self._wait_for_turn()
        try:
            group = self._group
            if group is None:
                group = self._group = await self._begun(came)
            group.size += 1
            try:
                yield group
            except BaseException as error:
                group.empty = group.size == 1
                if group.trouble is None or not isinstance(error, SQLAlchemyError):
                    raise
                raise group.trouble from None
            finally:
                if not (self._coming and group.size < TOGETHER and group.stands):
                    await self._commit()
        finally:
            self._turn.release()
        await asyncio.shield(group.saved)

    async def aclose(self) -> None:
        """Bring back the connections that were kept."""
        if not self.one_writer:  # none of SQLite's is
            await self._drivers.close()

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

    async def _begun(self, came: float) -> _Group:
        """A group that has the write lock, for who came at a time of the event loop's.

        SQLite waits for another program's lock for a while. Whoever stood in line all that time is
        told what came of it: were each to wait again, the last would wait as often as there are.
        """
        moment = asyncio.get_running_loop().time()
        if self._refusal is not None and came <= self._refused_from:
            raise self._refusal.with_traceback(None)
        connection = await self._engine.connect()
        try:
            await connection.begin()
            group = _Group(connection)
            await group.do("BEGIN IMMEDIATE")
        except BaseException as error:
            await connection.close()
            if isinstance(error, SQLAlchemyError):
                self._refusal, self._refused_from = error, moment
            raise
        self._refusal = None
        return group

    def _failed(self, context: ExceptionContext) -> None:
        """Keep the error at which SQLite took everything back; what follows does not say why."""
        group = self._group
        if (
            group is not None
            and context.connection is group.connection.sync_connection
            and (context.is_disconnect or not group.stands)
        ):
            group.trouble = group.trouble or context.sqlalchemy_exception

    async def _commit(self) -> None:
        """Save what a group wrote; to its end, for whoever does it may be cancelled meanwhile."""
        group, self._group = self._group, None
        if group is not None:
            saving = asyncio.create_task(self._save(group))
            await asyncio.shield(saving)

    @staticmethod
    async def _save(group: _Group) -> None:
        """Save what a group wrote, and tell its members."""
        try:
            if group.trouble is None and not group.empty:
                # Not the connection's own: where nothing stands any more, that would do nothing.
                await group.do("COMMIT")
        except BaseException as error:  # noqa: BLE001  # whoever wrote must hear of it
            group.trouble = error
        if group.trouble is None:
            group.saved.set_result(None)
        else:
            group.saved.set_exception(group.trouble)
            group.saved.exception()  # if nobody else was in it, nobody asks
        await group.connection.close()
