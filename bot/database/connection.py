"""Opening the database: migrated to the code's revision, and SQLite told to be safe and quick."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy import Connection

MIGRATIONS = Path(__file__).parents[2] / "migrations"

# Any number will do as long as every Kataribe uses the same: bots that start together on one
# PostgreSQL migrate one after the other.
MIGRATION_LOCK = 0x6B61746172696265


class DatabaseError(Exception):
    """The database cannot be used; the message is one sentence for the host."""


@dataclass(frozen=True, slots=True)
class Database:
    """An open database."""

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    """Objects stay readable after their session ends."""


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    """Open and migrate; closed on leaving.

    Raises:
        DatabaseError: It cannot be opened, or was written by a newer Kataribe.
    """
    if file := sqlite_file(url):
        await asyncio.to_thread(_prepare_file, file)
    try:
        engine = create_async_engine(
            url,
            pool_pre_ping=not url.startswith("sqlite"),
            # What members wrote, and the tokens that answer them, stay out of errors and logs.
            hide_parameters=True,
        )
    except ModuleNotFoundError as error:
        raise DatabaseError(
            f"The database driver {error.name} is not installed: pip install {error.name}"
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_connection)
    try:
        await _migrate(engine)
        yield Database(engine, async_sessionmaker(engine, expire_on_commit=False))
    finally:
        await engine.dispose()


def sqlite_file(url: str) -> Path | None:
    """Give the file of a SQLite database, relative to the working directory as SQLite takes it."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in {None, "", ":memory:"}:
        return None
    return Path(str(parsed.database))


@contextmanager
def sole_user(url: str) -> Iterator[bool]:
    """Hold a SQLite database for this process alone; gives False where others may share it.

    The kernel lets go of the lock when the process ends, however it ends. So after `kill -9`
    the next start knows at once that every lease in the file is a dead one's.

    Raises:
        DatabaseError: Another bot holds it.
    """
    file = sqlite_file(url)
    if file is None:
        yield False
        return
    # Not the database itself: closing any handle on it would drop SQLite's own locks.
    path = file.with_name(f"{file.name}-lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DatabaseError(f"The database {file} cannot be opened: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatabaseError(
                f"Another bot is running on {file}: stop it first, "
                "or let both share a PostgreSQL ([database] url)"
            ) from None
        yield True
    finally:
        os.close(handle)


def alembic_config() -> Config:
    """Alembic's settings, for its commands in code and for developers (see CONTRIBUTING)."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


async def _migrate(engine: AsyncEngine) -> None:
    shown = engine.url.render_as_string(hide_password=True)
    try:
        async with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                # Python's sqlite3 begins no transaction before DDL; without one a migration
                # that fails in the middle would leave half of itself behind.
                await connection.execute(text("BEGIN IMMEDIATE"))
            else:
                lock = text("SELECT pg_advisory_xact_lock(:lock)")
                await connection.execute(lock, {"lock": MIGRATION_LOCK})
            await connection.run_sync(_upgrade)
    except (SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise DatabaseError(f"The database {shown} cannot be opened: {cause}") from error


def _upgrade(connection: Connection) -> None:
    config = alembic_config()
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise DatabaseError(
            f"The database was written by a newer Kataribe (revision {current}): "
            "update the code, or name another database ([database] url)"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _prepare_file(file: Path) -> None:
    """Set what SQLite keeps in the file, and so see whether it is a database at all."""
    try:
        with closing(sqlite3.connect(file)) as connection:
            # Readers never wait for the writer, nor the writer for readers.
            connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error as error:
        raise DatabaseError(f"The database {file} cannot be opened: {error}") from error


def _prepare_connection(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # With NORMAL the last commits may be gone after a power cut, and a wish is acknowledged
    # only because its commit is on the disk.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA busy_timeout = 10000")
    cursor.close()
