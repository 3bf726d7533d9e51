"""Bringing a database to the code's revision, with every row kept."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from bot.database.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parents[2] / "migrations"

# Any number will do as long as every Kataribe uses the same: bots that start together on one
# PostgreSQL migrate one after the other.
MIGRATION_LOCK = 0x6B61746172696265


def alembic_config() -> Config:
    """Alembic's settings, for its commands in code and for developers (see CONTRIBUTING)."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


async def migrate(engine: AsyncEngine, file: Path | None) -> None:
    """Run the migrations that are missing, all or none of them.

    Args:
        engine: The database.
        file: SQLite's file; a copy of it as it was stays beside it.

    Raises:
        DatabaseError: A newer Kataribe wrote the database, or no copy of it can be made.
    """
    scripts = ScriptDirectory.from_config(alembic_config())
    known = {script.revision for script in scripts.walk_revisions()}
    head = scripts.get_current_head()
    async with schema_change(engine) as connection:
        current = await connection.run_sync(_revision)
        if current == head:
            return
        if current is not None and current not in known:
            raise DatabaseError(
                f"The database was written by a newer Kataribe (revision {current}): "
                "update the code, or name another database ([database] url)"
            )
        if file is not None and current is not None:
            copy = await asyncio.to_thread(
                _copy, file, file.with_name(f"{file.name}.before-{head}")
            )
            _log.info(
                "The database goes from revision %s to %s; as it was: %s", current, head, copy
            )
        await connection.run_sync(_upgrade)


@asynccontextmanager
async def schema_change(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction in which tables may be written anew.

    On SQLite with foreign keys off, which cannot be said within a transaction: dropping the old
    table would otherwise delete what refers to it. `check_foreign_keys` belongs to its end.
    """
    async with engine.connect() as connection:
        sqlite = engine.dialect.name == "sqlite"
        if sqlite:
            await connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            # Python's sqlite3 begins no transaction before DDL; without one a migration
            # that fails in the middle would leave half of itself behind.
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            lock = text("SELECT pg_advisory_xact_lock(:lock)")
            await connection.execute(lock, {"lock": MIGRATION_LOCK})
        try:
            yield connection
            await connection.commit()
        finally:
            await connection.rollback()
            if sqlite:
                await connection.exec_driver_sql("PRAGMA foreign_keys = ON")


def check_foreign_keys(connection: Connection) -> None:
    """Look whether every row still finds what it refers to; PostgreSQL does so by itself.

    Raises:
        DatabaseError: It names the rows that do not.
    """
    if connection.dialect.name != "sqlite":
        return
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if rows:
        lost = ", ".join(f"{row.table} {row.rowid} → {row.parent}" for row in rows[:10])
        more = f" and {len(rows) - 10} more" if len(rows) > 10 else ""  # noqa: PLR2004  # as above
        raise DatabaseError(
            f"Rows of the database refer to none, nothing was changed: {lost}{more}"
        )


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _copy(file: Path, copy: Path) -> Path:
    """Copy a database that others may read and nobody writes meanwhile; gives the copy."""
    half = copy.with_name(f"{copy.name}.part")
    try:
        half.unlink(missing_ok=True)
        os.close(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(half)) as target:
            source.backup(target)
        half.replace(copy)
    except (sqlite3.Error, OSError) as error:
        raise DatabaseError(f"No copy of {file} can be made before it changes: {error}") from error
    return copy
