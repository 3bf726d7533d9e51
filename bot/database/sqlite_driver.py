"""What every story meets goes straight to SQLite's driver: one word to its thread a statement.

SQLAlchemy still writes the statements, and says how values are kept. Its own way takes one word for
a cursor, one for the statement, one for the rows and one for the end, each with a switch of stacks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Dialect, Executable
    from sqlalchemy.ext.asyncio import AsyncConnection
    from sqlalchemy.sql.compiler import SQLCompiler

_Change = Callable[[Any], Any]
"""Of a value, on its way to the file or from there."""


@dataclass(frozen=True, slots=True)
class _Text:
    """A statement as the driver takes it."""

    compiled: SQLCompiler
    words: str | None
    """None: it hangs on how many there are in the lists that are given."""
    order: Sequence[str]
    """In which the parameters are given."""
    own: Mapping[str, Any]
    """Those that the statement itself has."""
    given: Mapping[str, _Change]
    names: Sequence[str]
    """Of what it gives."""
    gives: Sequence[tuple[str, _Change]]
    """Which of that is changed."""

    @classmethod
    def of(cls, statement: Any, dialect: Dialect, names: Sequence[str]) -> Self:
        """Write a statement down, which will be given what has these names."""
        compiled = statement.compile(dialect=dialect, column_keys=names)
        lists = bool(compiled.post_compile_params)
        changes = [
            (column.key, column.type.dialect_impl(dialect).result_processor(dialect, None))
            for column in statement.exported_columns
        ]
        return cls(
            compiled=compiled,
            words=None if lists else str(compiled),
            order=() if lists else compiled.positiontup,
            own={} if lists else compiled.params,
            given=compiled._bind_processors,  # noqa: SLF001  # no other way
            names=[name for name, _ in changes],
            gives=[(name, change) for name, change in changes if change is not None],
        )

    def with_values(self, given: Mapping[str, Any]) -> tuple[str, Sequence[Any]]:
        """Give the words, and the values of their parameters in order."""
        if self.words is None:
            state = self.compiled.construct_expanded_state(dict(given))
            words, order, values = state.statement, state.positiontup, state.parameters
            changes: Mapping[str, Any] = {**self.given, **state.processors}
        else:
            words, order, values, changes = (
                self.words,
                self.order,
                {**self.own, **given},
                self.given,
            )
        taken = (
            change(values[name]) if (change := changes.get(name)) else values[name]
            for name in order or ()
        )
        return words, tuple(taken)

    def row(self, values: Sequence[Any]) -> Mapping[str, Any]:
        """Make a row of what the driver gives."""
        row = dict(zip(self.names, values, strict=True))
        for name, change in self.gives:
            row[name] = change(row[name])
        return row


_texts: dict[tuple[Executable, tuple[str, ...]], _Text] = {}
"""Of each statement, by the names of what is given."""


class SqliteTransaction:
    """A transaction that a connection has begun; see `bot.database.transactions.Transaction`."""

    def __init__(self, connection: AsyncConnection, driver: Any) -> None:
        self.dialect = connection.dialect.name
        self._connection = connection
        self._driver = driver

    async def rows(self, statement: Executable, given: Mapping[str, Any]) -> Sequence[Any]:
        """Have a statement done; see `Transaction`.

        Raises:
            SQLAlchemyError: As SQLAlchemy raises it.
        """
        key = (statement, tuple(given))
        if (text := _texts.get(key)) is None:
            text = _texts[key] = _Text.of(statement, self._connection.dialect, list(given))
        rows = await done(self._connection, self._driver, *text.with_values(given))
        return [text.row(row) for row in rows]


async def done(
    connection: AsyncConnection, driver: Any, words: str, values: Sequence[Any] = ()
) -> Sequence[Any]:
    """Have a connection's driver do something; gives its rows.

    Raises:
        SQLAlchemyError: As SQLAlchemy raises it.
    """
    try:
        rows: Sequence[Any] = await driver.execute_fetchall(words, values)
    except sqlite3.Error as error:
        await connection.run_sync(_failed, error, words)
        raise
    except UnicodeError:
        raise
    except ValueError as error:  # so it says that it is closed
        # Of another kind of error SQLAlchemy would give the connection to the next one.
        await connection.run_sync(_failed, sqlite3.OperationalError(str(error)), words)
        raise
    return rows


def _failed(connection: Any, error: Exception, words: str) -> None:
    """Do what SQLAlchemy does at an error of the driver's, and raise what it raises."""
    connection._handle_dbapi_exception(error, words, None, None, None)  # noqa: SLF001  # no other way
