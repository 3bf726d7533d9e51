"""Bringing a database to the code's revision, with every row kept."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from alembic import command
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from bot.database.copies import copy_database
from bot.database.errors import DatabaseError
from bot.database.revisions import alembic_config, newest_revision, why_not
from bot.database.tables import Story

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_log = logging.getLogger(__name__)

# Any number will do as long as every Kataribe uses the same: bots that start together on one
# PostgreSQL migrate one after the other.
MIGRATION_LOCK = 0x6B61746172696265


async def migrate(engine: AsyncEngine, file: Path | None) -> None:
    """Run the migrations that are missing, all or none of them.

    Args:
        engine: The database.
        file: SQLite's file; a copy of it as it was stays beside it.

    Raises:
        DatabaseError: A newer Kataribe wrote the database, or no copy of it can be made.
    """
    head = newest_revision()
    async with schema_change(engine) as connection:
        current = await connection.run_sync(revision_of)
        if current == head:
            return
        if current is not None and (why := why_not(current)):
            raise DatabaseError(f"The database {why}, or name another database ([database] url)")
        if file is not None and current is not None:
            copy = file.with_name(f"{file.name}.before-{head}")
            await asyncio.to_thread(copy_database, file, copy)
            _log.info(
                "The database goes from revision %s to %s; as it was: %s", current, head, copy
            )
        await connection.run_sync(upgrade)


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


def revision_of(connection: Connection) -> str | None:
    """The state that a database is in; None: it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: Connection) -> None:
    """Bring a database to the code's revision, whatever rows it holds.

    Raises:
        DatabaseError: Another program has tables of the same names there.
    """
    if revision_of(connection) is None:
        theirs = sorted(Story.metadata.tables.keys() & inspect(connection).get_table_names())
        if theirs:
            raise DatabaseError(
                f"The database has tables of another program's ({', '.join(theirs)}): "
                "name one that is empty"
            )
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
