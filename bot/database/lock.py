"""Who has a database: one bot alone, or on PostgreSQL each of several processes its shards."""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import socket
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import make_url

from bot.database.connection import sqlite_file
from bot.database.errors import DatabaseError
from bot.database.server_lock import server_held

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from pathlib import Path

    from bot.database.server_lock import Member


def owner_name() -> str:
    """A name for who holds leases: this process, and none that ever was before."""
    return f"{socket.gethostname()[:32]}:{os.getpid()}:{secrets.token_hex(4)}"


@asynccontextmanager
async def sole_user(
    url: str, member: Member | None = None
) -> AsyncIterator[Callable[[], Coroutine[Any, Any, object]]]:
    """Hold a database for this process alone, or its part of one.

    Whoever holds it knows that every lease in it is a dead bot's: the lock goes when the process
    ends, however it ends.

    Args:
        url: The database's.
        member: Which of a bot's processes this is; None: its only one. SQLite knows but one.

    Returns:
        A watch to be run: it ends only by raising DatabaseError, when another bot has the database.

    Raises:
        DatabaseError: Another bot holds it, or it cannot be opened.
    """
    if make_url(url).get_backend_name() == "postgresql":
        name = member.owner if member else owner_name()
        async with server_held(url, name, member) as watch:
            yield watch
        return
    with _file_held(sqlite_file(url)):
        yield asyncio.Event().wait  # nobody can take a file from us


def is_held(file: Path) -> bool:
    """Whether a bot works on a SQLite file now; to look leaves nothing behind."""
    if not _lock_of(file).exists():
        return False
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
    try:
        handle = os.open(_lock_of(file), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DatabaseError(
            f"The database {file.resolve()} cannot be opened: {error.strerror}"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _another(str(file.resolve())) from None
        yield
    finally:
        os.close(handle)


def _lock_of(file: Path) -> Path:
    """What stands for a database, by its true name: two links to one file are one.

    Not the database itself: closing any handle on it would drop SQLite's own locks.
    """
    file = file.resolve()
    return file.with_name(f"{file.name}-lock")


def _another(database: str) -> DatabaseError:
    return DatabaseError(f"Another bot is running on {database}: stop it first")
