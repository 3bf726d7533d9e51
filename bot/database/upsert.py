"""INSERT … ON CONFLICT, which SQLAlchemy spells by database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.database.columns import Base


def insert_or_update(session: AsyncSession, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """Begin an insert that has `on_conflict_do_update`, for the session's database."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
