"""All rows of one database into another, of either kind, and then each of them compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, literal, select, text, tuple_
from sqlalchemy.exc import DBAPIError

from bot.database.connection import without_password
from bot.database.errors import DatabaseError, cause, passes
from bot.database.migrating import revision_of, schema_change, upgrade
from bot.database.revisions import HALF_MOVED, newest_revision, why_not
from bot.database.tables import Story

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from sqlalchemy import Connection, Table
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    Row = tuple[Any, ...]

TABLES = Story.metadata.sorted_tables
"""A table comes after those that its rows refer to; so does, by its number, a story."""
FEW = 500
"""Rows that are read, and written, together."""
NUL, REPLACEMENT = "\0", "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class Transfer:
    """The way of all rows from one database into another; nobody else may write to either.

    Nothing is written down of how far it is: what is there must be a beginning of what comes, table
    by table in the order of their keys. So it goes on after whatever ended it, and notices rows
    that are not its own. Until its end the target says that it is half moved, and no bot takes it.
    """

    source: AsyncEngine
    target: AsyncEngine
    progress: Callable[[int, int, str], None]
    """Told the rows that are done, how many there are, and what is done with them."""
    replace_nul: bool = False
    """Write U+FFFD where a text has the character NUL, of which PostgreSQL keeps none."""

    async def run(self) -> dict[str, int]:
        """Copy and compare; gives how many rows each table has.

        Raises:
            DatabaseError: Not all of it can be there. What was copied stays there.
        """
        async with self.source.connect() as reading:
            counts = {table.name: await _count(reading, table) for table in TABLES}
            begun = await self._begin()
            async with self.target.connect() as writing:
                if not begun:
                    try:
                        await self._all(reading, writing, counts, "compared")
                    except DatabaseError as error:
                        raise self._in_use() from error
                    return counts
                for what in ("copied", "compared"):
                    await self._all(reading, writing, counts, what)
                for table in TABLES:
                    if table.autoincrement_column is not None:
                        await _count_on(writing, table, await _last_number(reading, table))
                await writing.commit()
        async with schema_change(self.target) as connection:
            await connection.run_sync(_name_revision, newest_revision())
        return counts

    async def _begin(self) -> bool:
        """Make the tables, and let no bot take them for whole.

        False: rows are there, and no move is on its way. Perhaps one has ended, of which nobody
        saw the last line.
        """
        async with schema_change(self.target) as connection:
            revision = await connection.run_sync(revision_of)
            if revision == HALF_MOVED:
                return True
            if revision is None:
                await connection.run_sync(upgrade)
            elif revision != newest_revision():
                raise self._in_use()
            elif [table for table in TABLES if await _count(connection, table)]:
                return False
            await connection.run_sync(_name_revision, HALF_MOVED)
            return True

    def _in_use(self) -> DatabaseError:
        database = without_password(self.target)
        return DatabaseError(f"{database} is a database in use: name an empty one")

    async def _all(
        self,
        reading: AsyncConnection,
        writing: AsyncConnection,
        counts: Mapping[str, int],
        what: str,
    ) -> None:
        """Go through all tables; `what` is done with them: `copied`, or `compared`."""
        done, total = 0, sum(counts.values())
        for table in TABLES:
            async for rows in self._walk(reading, writing, table, what == "copied"):
                done += rows
                if rows:
                    self.progress(done, total, what)

    async def _walk(
        self, reading: AsyncConnection, writing: AsyncConnection, table: Table, copying: bool
    ) -> AsyncIterator[int]:
        """Go through a table; gives each time how many rows of it were done.

        `copying`: what is missing is written; else it is an error like any other difference.
        """
        after: Row | None = None
        while True:
            rows = [self._as_kept(row) for row in await _rows(reading, table, after, FEW)]
            last = _key(table, rows[-1]) if len(rows) == FEW else None
            there = await _rows(writing, table, after, FEW + 1, last)
            if there != rows:
                if not copying or there != rows[: len(there)]:
                    raise self._differs(table, rows, there)
                await self._write(writing, table, rows[len(there) :])
            yield len(rows)
            if last is None:
                return
            after = last

    def _as_kept(self, row: Row) -> Row:
        if not self.replace_nul:
            return row
        return tuple(
            value.replace(NUL, REPLACEMENT) if isinstance(value, str) and NUL in value else value
            for value in row
        )

    async def _write(self, writing: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
        values = [dict(zip(table.c.keys(), row, strict=True)) for row in rows]
        try:
            await writing.execute(insert(table), values)
            await writing.commit()
        except DBAPIError as error:
            await writing.rollback()
            if passes(error):
                raise
            # One by one, to see which it is; none of them stays.
            for row, value in zip(rows, values, strict=True):
                try:
                    await writing.execute(insert(table), value)
                except DBAPIError as refused:
                    raise self._refused(table, row, refused) from refused
            raise

    def _differs(self, table: Table, rows: list[Row], there: list[Row]) -> DatabaseError:
        same = next(n for n in range(FEW + 1) if rows[n : n + 1] != there[n : n + 1])
        number = _name(table, (rows[same:] or there[same:])[0])
        return DatabaseError(
            f"{number} is not the same in {without_password(self.source)} and in "
            f"{without_password(self.target)}: nothing more was written; move into an empty one"
        )

    def _refused(self, table: Table, row: Row, error: DBAPIError) -> DatabaseError:
        nul = [
            name
            for name, value in zip(table.c.keys(), row, strict=True)
            if isinstance(value, str) and NUL in value
        ]
        if nul and self.target.dialect.name == "postgresql":
            return DatabaseError(
                f"{_name(table, row)} has the character NUL in {nul[0]}, which PostgreSQL cannot "
                "keep; what comes before it is moved: --replace-nul goes on and writes U+FFFD there"
            )
        return DatabaseError(
            f"{_name(table, row)} cannot be kept in {without_password(self.target)}: {cause(error)}"
        )


async def check_source(source: AsyncEngine) -> None:
    """See whether there is something to be moved.

    Raises:
        DatabaseError: Nothing of this Kataribe's.
    """
    async with source.connect() as reading:
        revision = await reading.run_sync(revision_of)
    database = without_password(source)
    if revision is None:
        raise DatabaseError(f"There is nothing of Kataribe's in {database}")
    if why := why_not(revision):
        raise DatabaseError(f"The database {database} {why}")
    if revision != newest_revision():
        raise DatabaseError(
            f"The database {database} is of an older Kataribe (revision {revision}): "
            "start the bot on it once, which brings it to this one's"
        )


def _key(table: Table, row: Row) -> Row:
    return tuple(row[table.c.keys().index(column.name)] for column in table.primary_key)


def _name(table: Table, row: Row) -> str:
    """A row, as a person finds it."""
    return f"Row {', '.join(map(str, _key(table, row)))} of {table.name}"


async def _rows(
    connection: AsyncConnection, table: Table, after: Row | None, most: int, upto: Row | None = None
) -> list[Row]:
    """The next rows of a table, as tuples."""
    key = list(table.primary_key)

    def bound(values: Row) -> Any:
        return tuple_(*(literal(value, of.type) for value, of in zip(values, key, strict=True)))

    statement = select(*table.c).order_by(*key).limit(most)
    if after is not None:
        statement = statement.where(tuple_(*key) > bound(after))
    if upto is not None:
        statement = statement.where(tuple_(*key) <= bound(upto))
    return [tuple(row) for row in await connection.execute(statement)]


async def _count(connection: AsyncConnection, table: Table) -> int:
    return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


def _name_revision(connection: Connection, revision: str | None) -> None:
    named = text("UPDATE alembic_version SET version_num = :revision")
    connection.execute(named, {"revision": revision})


async def _last_number(connection: AsyncConnection, table: Table) -> int:
    """The highest number that a table ever gave: none is given twice, for buttons name them."""
    if connection.dialect.name == "sqlite":
        given = "SELECT seq FROM sqlite_sequence WHERE name = :name"
        last = await connection.scalar(text(given), {"name": table.name})
    else:
        sequence = await _sequence(connection, table)
        given = f"SELECT last_value FROM {sequence} WHERE is_called"  # noqa: S608  # PostgreSQL's
        last = await connection.scalar(text(given))
    highest = await connection.scalar(select(func.max(*table.primary_key)))
    return max(last or 0, highest or 0)


async def _count_on(connection: AsyncConnection, table: Table, last: int) -> None:
    """Let a table give the number after `last` next."""
    if connection.dialect.name == "postgresql":
        given = text("SELECT setval(:sequence, :last, :called)")
        named = {"sequence": await _sequence(connection, table)}
        await connection.execute(given, {**named, "last": max(last, 1), "called": last > 0})
    elif table.dialect_options["sqlite"]["autoincrement"]:
        for statement in (
            "DELETE FROM sqlite_sequence WHERE name = :name",
            "INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)",
        ):
            await connection.execute(text(statement), {"name": table.name, "last": last})


async def _sequence(connection: AsyncConnection, table: Table) -> str:
    """What PostgreSQL calls that which counts a table's rows."""
    (column,) = table.primary_key
    named = {"table": table.name, "column": column.name}
    asked = text("SELECT pg_get_serial_sequence(:table, :column)")
    return str(await connection.scalar(asked, named))
