"""INSERT … ON CONFLICT, which SQLAlchemy spells by database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.database.columns import Base


SPELLINGS: dict[str, Callable[[Any], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
"""What begins an insert that has `on_conflict_do_update`, by database."""


def insert_or_update(session: AsyncSession, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """Begin an insert that has `on_conflict_do_update`, for the session's database."""
    return SPELLINGS[session.get_bind().dialect.name](table)
