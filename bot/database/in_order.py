"""Rows that a transaction changes together, taken in the order of their keys.

Two transactions that take the same rows in different orders wait for each other, until PostgreSQL
ends one of them. So whatever changes several rows of a table takes them here first, and of several
tables those first that others refer to. SQLite has one writer at a time, and only reads here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, tuple_

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Select
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
