"""Rows that a transaction changes together, taken in the order of their keys.

Two transactions that take the same rows in different orders wait for each other, until PostgreSQL
ends one of them. So whatever changes several rows of a table takes them here first, and of several
tables those first that others refer to. SQLite has one writer at a time, and only reads here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, tuple_

from bot.database.columns import Base

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, FromClause, Select
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import InstrumentedAttribute

    Column = ColumnElement[Any] | InstrumentedAttribute[Any]


async def take(
    session: AsyncSession,
    key: Sequence[Column],
    some: Select[Any] | Collection[tuple[Any, ...]],
    *,
    deletes: bool = False,
) -> list[tuple[Any, ...]]:
    """Take rows until the transaction ends; gives their keys, in order.

    Args:
        session: The transaction's.
        key: The table's primary key.
        some: Which rows: a query for their keys, or the keys.
        deletes: They will be deleted; otherwise rows may still be added that refer to them.
    """
    query = select(*key).where(tuple_(*key).in_(some)).order_by(*key)
    rows = await session.execute(query.with_for_update(key_share=not deletes))
    return [tuple(row) for row in rows]


async def take_dependent(session: AsyncSession, table: FromClause, numbers: Sequence[int]) -> None:
    """Take the rows of other tables that the database deletes with some rows of this one."""
    for other in Base.metadata.sorted_tables:
        for foreign in other.foreign_keys:
            if foreign.column.table is table and other is not table:
                key = list(other.primary_key)
                some = select(*key).where(foreign.parent.in_(numbers))
                await take(session, key, some, deletes=True)
