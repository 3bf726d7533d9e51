"""Transactions of what every story meets: few statements, made once, and their rows.

On PostgreSQL they go straight to the driver. SQLAlchemy still writes the statements and keeps the
connections; but its own way from there to the driver and back, through sessions, results and a
switch of stacks for each word to the server, takes ten times as long as the driver's.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from sqlalchemy import Enum
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError

from bot.database.tables import Story

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sqlalchemy import Dialect, Executable

    from bot.database.drivers import Drivers
    from bot.database.one_call import OneCall

# What is kept as a word and read as one of an enumeration.
_WORDS = {
    column.name: column.type.enum_class
    for column in Story.metadata.tables["stories"].c
    if isinstance(column.type, Enum) and column.type.enum_class is not None
}


POOLED = "kataribe_pooled"
"""The option of an engine that reaches PostgreSQL through a pooler of transactions."""


class Transaction(Protocol):
    """A transaction, committed when it is left."""

    dialect: str
    """The database: `sqlite`, `postgresql`."""

    async def rows(self, statement: Executable, given: Mapping[str, Any]) -> Sequence[Any]:
        """Have a statement done; gives its rows, each a mapping of names to values.

        Args:
            statement: One that gives rows, made once, since it is compiled once for each set of
                names; for PostgreSQL it has no list among its parameters.
            given: Its parameters, of the types that the driver takes.
        """


def story_of(row: Any) -> Story:
    """Make a story of its row."""
    values = dict(row)
    for name, kind in _WORDS.items():
        values[name] = kind(values[name])
    story = Story()
    # As SQLAlchemy does on reading: to set one after the other is to note each as a change.
    vars(story).update(values)
    return story


class PostgresqlTransaction:
    """One of PostgreSQL's driver."""

    def __init__(self, dialect: Any, driver: Any, *, single: bool) -> None:
        self._dialect = dialect
        self._driver = driver
        self.single = single
        """Each statement is one by itself."""
        self._missing = dialect.dbapi.asyncpg.UndefinedFunctionError
        self.dialect = dialect.name

    async def rows(self, statement: Executable, given: Mapping[str, Any]) -> Sequence[Any]:
        """Have a statement done; see `Transaction`."""
        key = (statement, tuple(given))
        if (text := _texts.get(key)) is None:
            text = _texts[key] = _Text.of(statement, self._dialect, given)
        values = {**text.own, **given}
        rows: Sequence[Any] = await self._driver.fetch(
            text.words, *[values[name] for name in text.order]
        )
        return rows

    async def called(self, call: OneCall, given: Mapping[str, Any]) -> Story | None:
        """Have a story found and changed, where the transaction is a single statement's.

        Gives it as it is now; None where none was found, or it was not what it must be.
        """
        rows = await call.rows(self._driver, self._missing, given)
        return story_of(rows[0]) if rows else None


class _EachBegun:
    """A driver behind a pooler, each of whose statements is begun.

    For the driver asks after the types that a statement has before it sends it, and what it sets
    for that (no compiling, which takes a second) must hold in the session that it asks.
    """

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.execute = driver.execute

    async def fetch(self, *given: Any) -> Any:
        """Have a statement done that gives rows."""
        async with _begun(self._driver, ()):
            return await self._driver.fetch(*given)


@dataclass(frozen=True, slots=True)
class _Text:
    """A statement as the driver takes it: parameters have numbers, lists are written out."""

    words: str
    own: Mapping[str, Any]
    """The parameters that the statement itself has."""
    order: Sequence[str]
    """In which all are given."""

    @classmethod
    def of(cls, statement: Any, dialect: Dialect, given: Mapping[str, Any]) -> Self:
        """Write a statement down; `given`: what it is given the first time."""
        compiled = statement.compile(dialect=dialect, column_keys=list(given))
        state = compiled.construct_expanded_state(given)
        own = {name: state.parameters[name] for name in state.positiontup if name not in given}
        return cls(state.statement, own, state.positiontup)


_texts: dict[tuple[Executable, tuple[str, ...]], _Text] = {}
"""Of each statement, by the names of what is given."""


@asynccontextmanager
async def on_the_driver(
    drivers: Drivers, *, single: bool, taking: Sequence[int]
) -> AsyncIterator[PostgresqlTransaction]:
    """Begin a transaction on PostgreSQL; committed on leaving.

    Args:
        drivers: Where.
        single: Each statement is one, which the server commits without being told to.
        taking: Numbers that are locked first, in this order, and until its end.

    Raises:
        DBAPIError: As SQLAlchemy raises it.
    """
    engine = drivers.engine
    dbapi: Any = engine.dialect.dbapi
    behind_pooler = engine.get_execution_options().get(POOLED, False)
    async with drivers.lent() as driver:
        speaks = _EachBegun(driver) if single and behind_pooler else driver
        try:
            async with nullcontext() if single else _begun(driver, taking):
                yield PostgresqlTransaction(engine.dialect, speaks, single=single)
        except dbapi.asyncpg.InternalClientError as error:
            # The server ended the connection while nothing was asked of it, and its end is yet to
            # come.
            driver.terminate()
            raise _translated(dbapi.asyncpg, error) from error
        except (dbapi.asyncpg.PostgresError, dbapi.asyncpg.InterfaceError) as error:
            raise _translated(dbapi.asyncpg, error) from error


@asynccontextmanager
async def _begun(driver: Any, taking: Sequence[int]) -> AsyncIterator[None]:
    """A transaction, which is begun and takes its locks in one message."""
    locks = (f"SELECT pg_advisory_xact_lock({number:d})" for number in taking)
    try:
        await driver.execute("; ".join(("BEGIN", *locks)))
        yield
    except BaseException:
        if not driver.is_closed():
            await driver.execute("ROLLBACK")
        raise
    await driver.execute("COMMIT")


def _translated(asyncpg: Any, error: Exception) -> DBAPIError:
    """What SQLAlchemy calls an error of the driver's."""
    kinds: tuple[tuple[Any, type[DBAPIError]], ...] = (
        (asyncpg.InterfaceError, InterfaceError),
        (asyncpg.IntegrityConstraintViolationError, IntegrityError),
        # The server is away, or about to be, or has no room, or may do so another time.
        (asyncpg.InternalClientError, OperationalError),
        (asyncpg.PostgresConnectionError, OperationalError),
        (asyncpg.OperatorInterventionError, OperationalError),
        (asyncpg.InsufficientResourcesError, OperationalError),
        (asyncpg.TransactionRollbackError, OperationalError),
        (asyncpg.ReadOnlySQLTransactionError, OperationalError),
    )
    kind = next((ours for theirs, ours in kinds if isinstance(error, theirs)), DBAPIError)
    return kind(None, None, error)
