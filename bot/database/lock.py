"""One bot on one database, until several of them are real."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from bot.database.connection import make_engine, not_opened, sqlite_file, without_password
from bot.database.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

_log = logging.getLogger(__name__)

# Any number will do as long as every Kataribe uses the same.
SOLE_LOCK = 0x6B6174617269

AGAIN = 1.0
"""Seconds until a server that is away is asked again."""


@asynccontextmanager
async def sole_user(url: str) -> AsyncIterator[Callable[[], Coroutine[Any, Any, object]]]:
    """Hold a database for this process alone.

    Whoever holds it knows that every lease in it is a dead bot's: the lock goes when the process
    ends, however it ends.

    Returns:
        A watch to be run: it ends only by raising DatabaseError, when another bot has the database.

    Raises:
        DatabaseError: Another bot holds it, or it cannot be opened.
    """
    if make_url(url).get_backend_name() == "postgresql":
        async with _server_held(url) as watch:
            yield watch
        return
    with _file_held(sqlite_file(url)):
        yield asyncio.Event().wait  # nobody can take a file from us


def is_held(file: Path) -> bool:
    """Whether a bot works on a SQLite file now."""
    try:
        with _file_held(file):
            return False
    except DatabaseError:
        return True


@contextmanager
def _file_held(file: Path | None) -> Iterator[None]:
    if file is None:
        # In memory, it is nobody else's.
        yield
        return
    # By its true name, so that two links to one file are one. Not the database itself: closing
    # any handle on it would drop SQLite's own locks.
    file = file.resolve()
    path = file.with_name(f"{file.name}-lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DatabaseError(f"The database {file} cannot be opened: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _another(str(file)) from None
        yield
    finally:
        os.close(handle)


@asynccontextmanager
async def _server_held(url: str) -> AsyncIterator[Callable[[], Coroutine[Any, Any, object]]]:
    """Hold a lock of the server's, which lives as long as the connection that took it."""
    engine = make_engine(url, poolclass=NullPool)
    async with AsyncExitStack() as opened:
        opened.push_async_callback(engine.dispose)
        held = await opened.enter_async_context(AsyncExitStack())
        try:
            gone = await _take(engine, held)
        except (SQLAlchemyError, OSError) as error:
            raise not_opened(engine, error) from error

        async def watch() -> None:
            nonlocal gone
            while True:
                await gone.wait()
                _log.warning("The database's server has let go of our lock; taking it again")
                try:
                    await held.aclose()
                    gone = await _take(engine, held)
                except (SQLAlchemyError, OSError) as error:
                    _log.warning("The database cannot be reached: %s", error)
                    await asyncio.sleep(AGAIN)

        yield watch


async def _take(engine: AsyncEngine, held: AsyncExitStack) -> asyncio.Event:
    """Take the server's lock on a connection that `held` keeps; gives what its end will set."""
    connection = await held.enter_async_context(engine.connect())
    await connection.execution_options(isolation_level="AUTOCOMMIT")
    gone = asyncio.Event()
    driver: Any = (await connection.get_raw_connection()).driver_connection
    driver.add_termination_listener(lambda _: gone.set())
    if not await connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": SOLE_LOCK}):
        raise _another(without_password(engine))
    return gone


def _another(database: str) -> DatabaseError:
    return DatabaseError(f"Another bot is running on {database}: stop it first")
