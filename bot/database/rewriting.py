"""SQLite alters a table by writing it anew; here is kept what Alembic forgets on the way.

Imported by Alembic's entry, so that who writes a migration need not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic.ddl.sqlite import SQLiteImpl
from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alembic.operations.batch import ApplyBatchImpl
    from sqlalchemy import Table


class RememberingSQLite(SQLiteImpl):
    """A table written anew keeps its triggers, and is still AUTOINCREMENT.

    It goes on from the highest id it ever gave.
    """

    __dialect__ = "sqlite"  # Alembic takes the last class that says so

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._last: dict[str, int] = {}
        self._triggers: dict[str, list[str]] = {}

    def prep_table_for_batch(self, batch_impl: ApplyBatchImpl, table: Table) -> None:
        """Before the new table is made and the rows are copied into it."""
        triggers = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name"
        self._triggers[table.name] = list(self._all(triggers, table.name))
        last = self._scalar("SELECT sql FROM sqlite_master WHERE name = :name", table.name)
        if "AUTOINCREMENT" in last:
            assert batch_impl.new_table is not None  # noqa: S101  # Alembic has just made it
            batch_impl.new_table.dialect_options["sqlite"]["autoincrement"] = True
            query = "SELECT seq FROM sqlite_sequence WHERE name = :name"
            self._last[table.name] = self._scalar(query, table.name) or 0

    def rename_table(self, old_table_name: str, new_table_name: Any, schema: Any = None) -> None:
        """After the rows were copied: the new table takes the old one's name."""
        super().rename_table(old_table_name, new_table_name, schema)
        for trigger in self._triggers.pop(str(new_table_name), []):
            assert self.connection is not None  # noqa: S101  # there was one to read it with
            self.connection.exec_driver_sql(trigger)
        if last := self._last.pop(str(new_table_name), 0):
            assert self.connection is not None  # noqa: S101  # there was one to read it with
            of_table = {"name": str(new_table_name), "last": last}
            for statement in (
                "DELETE FROM sqlite_sequence WHERE name = :name",
                "INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)",
            ):
                self.connection.execute(text(statement), of_table)

    def _scalar(self, query: str, table: str) -> Any:
        return next(iter(self._all(query, table)), None)

    def _all(self, query: str, table: str) -> Sequence[Any]:
        assert self.connection is not None  # noqa: S101  # a batch reads the table it writes anew
        return self.connection.scalars(text(query), {"name": table}).all()
