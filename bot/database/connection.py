"""Opening the database: migrated to the code's revision, and SQLite told to be safe and quick."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import stat
from contextlib import aclosing, asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from bot.database.drivers import Pool
from bot.database.errors import DatabaseError, cause
from bot.database.migrating import migrate
from bot.database.sessions import Sessions
from bot.database.transactions import POOLED
from bot.silence import notice_silence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.engine import ExceptionContext

_log = logging.getLogger(__name__)

CUT_OFF = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
"""With these PostgreSQL gives a connection up whose other end is gone without a word, after 20
seconds: as `bot/silence.py` has it on our side."""
_WATCHED = {**CUT_OFF, "idle_in_transaction_session_timeout": "20000"}
"""A bot that was cut off, or stands still, in the middle of a transaction holds what it has locked
for 20 seconds: then PostgreSQL ends its session, and others go on. Commands may take longer."""
ANSWERS_WITHIN = 60.0
"""Seconds that the server has for one statement of the bot's; whoever asked tries again then."""
_KEPT: dict[str, Any] = {"poolclass": Pool, "pool_size": 24, "max_overflow": 0}
"""Connections of PostgreSQL: some more than wishes that are answered at once. They stay open, for
to make one takes longer than what it is made for."""
_DIRECT: dict[str, Any] = {"connect_args": {"server_settings": _WATCHED}}
_POOL: dict[str, Any] = {
    **_KEPT,
    "connect_args": {"server_settings": _WATCHED, "command_timeout": ANSWERS_WITHIN},
}
_POOLED: dict[str, Any] = {
    **_KEPT,
    "connect_args": {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "command_timeout": ANSWERS_WITHIN,
    },
    "execution_options": {POOLED: True},
}
"""Through a pooler, which gives each transaction another session: none has what one prepared."""
CLOSED_WITHIN = 5.0
"""Seconds."""
PRIMARY = 0xFF
"""The part of SQLite's error code that says what kind it is."""


@dataclass(frozen=True, slots=True)
class Database:
    """An open database."""

    engine: AsyncEngine
    sessions: Sessions
    direct: AsyncEngine
    """For connections that are kept, and for what must have a session of its own: always new ones,
    past a pooler. SQLite's is `engine`."""


@asynccontextmanager
async def open_database(url: str, pooler: str = "") -> AsyncIterator[Database]:
    """Open and migrate; closed on leaving.

    Args:
        url: The database's.
        pooler: That of a pooler before it, such as PgBouncer, which may give each transaction
            another session; empty: there is none.

    Raises:
        DatabaseError: It cannot be opened, or was written by a newer Kataribe.
    """
    file = sqlite_file(url)
    if url.startswith("sqlite"):
        async with open_engine(url) as engine:
            await _migrate(engine, file)
            yield Database(engine, Sessions(engine), engine)
        return
    async with open_engine(url, poolclass=NullPool, **_DIRECT) as direct:
        await _migrate(direct, file)
        pool = open_pooler(pooler, direct) if pooler else open_engine(url, **_POOL)
        async with pool as engine, aclosing(Sessions(engine)) as sessions:
            yield Database(engine, sessions, direct)


@asynccontextmanager
async def open_pooler(url: str, direct: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """Open the way to a database through its pooler; closed on leaving.

    Raises:
        DatabaseError: It cannot be opened, or leads to another database.
    """
    async with open_engine(url, **_POOLED) as engine:
        way = await _identity(engine, "[database] pooler, {},")
        if way != await _identity(direct, "The database {}"):
            raise DatabaseError(
                f"[database] pooler, {without_password(engine)}, leads to another database "
                f"than its url, {without_password(direct)}"
            )
        yield engine


@asynccontextmanager
async def open_engine(url: str, **settings: Any) -> AsyncIterator[AsyncEngine]:
    """Open a database, whatever is in it; closed on leaving.

    Raises:
        DatabaseError: It cannot be opened.
    """
    file = sqlite_file(url)
    if file is not None:
        await asyncio.to_thread(_prepare_file, file)
    engine = make_engine(url, **settings)
    try:
        yield engine
    finally:
        with suppress(TimeoutError):  # a connection that died in silence does not say goodbye
            async with asyncio.timeout(CLOSED_WITHIN):
                await engine.dispose()


def make_engine(url: str, **settings: Any) -> AsyncEngine:
    """Make an engine, which connects when it is first used.

    Raises:
        DatabaseError: Its driver is not installed.
    """
    try:
        # What members wrote, and the tokens that answer them, stay out of errors and logs.
        engine = create_async_engine(url, hide_parameters=True, **settings)
    except ModuleNotFoundError as error:
        raise DatabaseError(
            f"The database driver {error.name} is not installed: pip install {error.name}"
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_connection)
        event.listen(engine.sync_engine, "handle_error", _drop_if_read_only)
    else:
        event.listen(engine.sync_engine, "connect", _notice_silence)
        event.listen(engine.sync_engine, "checkout", _refuse_if_closed)
    return engine


def without_password(engine: AsyncEngine) -> str:
    """Give the engine's URL for people: a password may stand in its query as well."""
    return engine.url.set(query={}).render_as_string(hide_password=True)


def not_opened(
    engine: AsyncEngine, error: Exception, called: str = "The database {}"
) -> DatabaseError:
    """Say in one sentence why a database, or the way to it, cannot be opened."""
    named = called.format(without_password(engine))
    return DatabaseError(f"{named} cannot be opened: {cause(error)}")


def sqlite_file(url: str) -> Path | None:
    """Give the file of a SQLite database, relative to the working directory as SQLite takes it."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in {None, "", ":memory:"}:
        return None
    return Path(str(parsed.database))


async def _identity(engine: AsyncEngine, called: str) -> tuple[object, ...]:
    """What no other database has, and no other schema of one."""
    asked = text(
        "SELECT pg_postmaster_start_time(), oid, current_schema() "
        "FROM pg_database WHERE datname = current_database()"
    )
    try:
        async with engine.connect() as connection:
            return tuple((await connection.execute(asked)).one())
    except (SQLAlchemyError, OSError) as error:
        raise not_opened(engine, error, called) from error


async def _migrate(engine: AsyncEngine, file: Path | None) -> None:
    try:
        await migrate(engine, file)
    except (SQLAlchemyError, OSError) as error:
        raise not_opened(engine, error) from error


def _prepare_file(file: Path) -> None:
    """Set what SQLite keeps in the file, and so see whether it is a database at all."""
    # What cannot be made SQLite will say. Nothing that exists is opened and closed here: that
    # would drop the locks of who has it open in this process.
    with suppress(OSError):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(file)) as connection:
            # Readers never wait for the writer, nor the writer for readers.
            connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error as error:
        raise DatabaseError(f"The database {file} cannot be opened: {error}") from error
    _keep_private(file)  # of what is no database not even the rights are changed


def _keep_private(file: Path) -> None:
    """Let nobody but its owner read the file; SQLite gives its companions the same rights."""
    for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
        path = file.with_name(name)
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                path.chmod(mode & 0o700)
        except FileNotFoundError:
            continue
        except OSError as error:
            _log.warning("%s can be read by others: %s", path, error.strerror)


def _drop_if_read_only(context: ExceptionContext) -> None:
    """Let go of a connection that was refused a write: the next one opens the file anew.

    SQLite opens a file that cannot be written for reading alone, and such a connection can do no
    more when the disk has long been well again.
    """
    code = getattr(context.original_exception, "sqlite_errorcode", sqlite3.SQLITE_OK)
    if code & PRIMARY == sqlite3.SQLITE_READONLY:
        context.is_disconnect = True


def _refuse_if_closed(connection: Any, _record: object, _fairy: object) -> None:
    """Have the pool open another connection where the server has closed this one meanwhile.

    The driver hears of that by itself. To ask the server, as `pool_pre_ping` does, takes three
    round trips, as many as a whole small transaction.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def _notice_silence(connection: Any, _record: object) -> None:
    """As on every line of a bot's."""
    notice_silence(connection.driver_connection._transport.get_extra_info("socket"))  # noqa: SLF001  # no other way


def _prepare_connection(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # With NORMAL the last commits may be gone after a power cut, and a wish is acknowledged
    # only because its commit is on the disk.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA busy_timeout = 10000")
    cursor.close()
