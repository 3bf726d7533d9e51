"""What the tables' columns and indexes are made of."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, DateTime, Dialect, Enum, Integer, MetaData, TypeDecorator
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase

if TYPE_CHECKING:
    from enum import StrEnum


class Moment(TypeDecorator[dt.datetime]):
    """An aware UTC time; SQLite forgets the zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """Refuse a time without a zone: it would be stored as a different moment."""
        del dialect
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value and value.astimezone(dt.UTC)

    def process_result_value(
        self, value: dt.datetime | None, dialect: Dialect
    ) -> dt.datetime | None:
        """Give back what was stored, in UTC."""
        del dialect
        return value and value.replace(tzinfo=value.tzinfo or dt.UTC)


class Base(AsyncAttrs, DeclarativeBase):
    """Constraint names are fixed so that migrations can name what they change."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def _values(kind: type[StrEnum]) -> list[str]:
    return [member.value for member in kind]


def words(kind: type[StrEnum], length: int) -> Enum:
    """An enumeration kept as its plain word."""
    return Enum(kind, native_enum=False, length=length, values_callable=_values)


LARGEST = 2**63 - 1
"""The largest number that a column takes; no row of ours will ever have it."""
NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""A row's own number."""


def where(condition: str) -> dict[str, Any]:
    """The rows that a partial index has."""
    return {"sqlite_where": sql(condition), "postgresql_where": sql(condition)}
