"""What a database says of itself: every column, constraint and index, as it was declared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

POSTGRESQL = """
    SELECT attrelid::regclass || ' ' || attname || ' ' || format_type(atttypid, atttypmod)
        || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
        || coalesce(' DEFAULT ' || pg_get_expr(adbin, adrelid), '')
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid AND relkind = 'r'
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = current_schema()::regnamespace AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
    UNION ALL
    SELECT pg_get_indexdef(indexrelid)
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE relnamespace = current_schema()::regnamespace
"""


def declared(connection: Connection) -> set[str]:
    """One line for each column, constraint and index, without Alembic's own table."""
    if connection.dialect.name == "postgresql":
        schema = connection.scalar(text("SELECT current_schema() || '.'"))
        lines = {line.replace(schema, "") for line in connection.scalars(text(POSTGRESQL))}
    else:
        lines = set(_sqlite(connection))
    return {line for line in lines if "alembic_version" not in line}


def _sqlite(connection: Connection) -> Iterator[str]:
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    for name, sql in connection.execute(text(query)):
        plain = re.sub(r"\s+", " ", sql.replace('"', ""))
        if not plain.startswith("CREATE TABLE"):
            yield plain
            continue
        start, end = plain.index("("), plain.rindex(")")
        yield plain[:start].strip() + plain[end + 1 :]
        # A column that was added later stands last; the order says nothing.
        for part in _parts(plain[start + 1 : end]):
            yield f"{name}: {part.strip()}"


def _parts(body: str) -> Iterator[str]:
    """What commas divide, but not those within brackets."""
    depth = start = 0
    for place, sign in enumerate(body):
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            yield body[start:place]
            start = place + 1
    yield body[start:]
