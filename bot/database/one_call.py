"""A story found and changed, or added, in one message to PostgreSQL: by a function of statements.

A transaction of few statements is mostly waiting: for its beginning, for each of them, and for its
end the server is sent a message, and answers. A function is one message, which is a transaction by
itself; its statements are planned once a connection, and each sees what was there when it began,
so what follows a lock sees what the lock waited for. It is made where it is first missed, and bears
the fingerprint of its text: another version of Kataribe makes its own beside it.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy.dialects.postgresql.asyncpg import PGCompiler_asyncpg, PGDialect_asyncpg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ClauseElement, ColumnElement, Insert, Select
    from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate
    from sqlalchemy.types import TypeEngine

_MAKING: Final = 7_245_226
"""The lock of who makes a function: of two who make it at once one would fail."""
# The best plan does not hang on what is given, and to plan takes longer than to do it. Names of
# what is given are no column's.
_FUNCTION: Final = """\
({parameters}) RETURNS TABLE ({columns})
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $function$
#variable_conflict use_column
{body}
$function$"""
_FOUND: Final = "the_story_found"
_CHANGING: Final = """\
DECLARE {found} bigint;
BEGIN
LOOP
SELECT id INTO {found} FROM ({finds}) AS stories_found;
EXIT WHEN {found} IS NULL;
RETURN QUERY WITH changed AS ({changes})
SELECT {names} FROM changed WHERE id = {found};
EXIT WHEN FOUND{once};
END LOOP;
END"""
_ADDING: Final = """\
DECLARE {found} record;
BEGIN
{locks}
SELECT * INTO {found} FROM ({finds}) AS room_found;
IF FOUND THEN
{notes};
RETURN QUERY {adds};
END IF;
END"""


@dataclass(frozen=True, slots=True)
class _Function:
    """How it is made and called."""

    making: str
    call: str
    order: Sequence[str]
    """In which the call is given its parameters."""

    @classmethod
    def of(cls, body: str, types: Mapping[str, str], columns: Mapping[str, str]) -> Self:
        """Write it down.

        Args:
            body: What it does.
            types: Of what it is given.
            columns: Of the rows that it gives.
        """
        whole = _FUNCTION.format(
            body=body,
            parameters=", ".join(f"given_{name} {kind}" for name, kind in types.items()),
            columns=", ".join(f'"{name}" {kind}' for name, kind in columns.items()),
        )
        name = f"kataribe_{hashlib.sha256(whole.encode()).hexdigest()[:16]}"
        lock = f"SELECT pg_advisory_xact_lock({_MAKING})"
        numbers = ", ".join(f"${number}" for number, _ in enumerate(types, 1))
        return cls(
            making=f"{lock}; CREATE OR REPLACE FUNCTION {name}{whole}",
            call=f"SELECT * FROM {name}({numbers})",  # noqa: S608  # nothing of it is given
            order=list(types),
        )


def _text(
    statement: ClauseElement,
    types: dict[str, str],
    known: Mapping[str, str] | None = None,
    columns: Sequence[str] | None = None,
) -> str:
    """Write a statement down: what it is given is named, and its own values stand in it.

    Args:
        statement: The statement, or a part of one.
        types: Of what it is given, and what others were.
        known: What has another name.
        columns: Of an insert without values, those that are given.
    """
    names = known or {}

    class Compiler(PGCompiler_asyncpg):
        def visit_bindparam(self, bindparam: Any, *args: Any, **how: Any) -> Any:
            if not bindparam.required:
                how["literal_binds"] = True
                return super().visit_bindparam(bindparam, *args, **how)  # type: ignore[no-untyped-call]
            if bindparam.key in names:
                return names[bindparam.key]
            types[bindparam.key] = _type(bindparam.type)
            return f"given_{bindparam.key}"

    dialect = _dialect()
    dialect.statement_compiler = Compiler
    return str(statement.compile(dialect=dialect, column_keys=columns))


def _type(kind: TypeEngine[Any]) -> str:
    written: str = _dialect().type_compiler_instance.process(kind)
    return written


def _dialect() -> Any:
    return PGDialect_asyncpg()  # type: ignore[no-untyped-call]


class OneCall(ABC):
    """What a function does; it gives stories' rows."""

    @cached_property
    def _function(self) -> _Function:
        return self._written()

    @abstractmethod
    def _written(self) -> _Function: ...

    async def rows(self, driver: Any, missing: type[Exception], given: Mapping[str, Any]) -> Any:
        """Have it done; gives the story's row in a list, or an empty one.

        Args:
            driver: The connection; no transaction is begun.
            missing: Its error for a function that is not there.
            given: The parameters of all its statements, but for what one gives to the others.
        """
        function = self._function
        values = [given[name] for name in function.order]
        try:
            return await driver.fetch(function.call, *values)
        except missing:
            await driver.execute(function.making)
            return await driver.fetch(function.call, *values)


@dataclass(frozen=True, eq=False)
class Change(OneCall):
    """Finds a story, and changes it.

    Args:
        finds: Gives one story's `id`, or none, and takes its member.
        changes: Changes that story, its `story_id`, and perhaps others of its member; gives
            back the changed, the `id` among their columns.
        again: Another may be found where that one was changed by somebody else meanwhile. What
            was taken stays taken, so `finds` must not wait for what others have taken.
    """

    finds: Select[Any]
    changes: ReturningUpdate[Any]
    again: bool = False

    def _written(self) -> _Function:
        types: dict[str, str] = {}
        columns = _columns(self.changes)
        body = _CHANGING.format(
            found=_FOUND,
            finds=_text(self.finds, types),
            changes=_text(self.changes, types, {"story_id": _FOUND}),
            names=", ".join(f'"{name}"' for name in columns),
            once="" if self.again else " OR true",
        )
        return _Function.of(body, types, columns)


@dataclass(frozen=True, eq=False)
class Addition(OneCall):
    """Adds a story where there is room for it.

    Args:
        takes: What is locked first, in this order; what is unknown is not.
        finds: Gives one row if there is room, and what is known then.
        notes: Writes something else down.
        adds: Adds the story, and gives it.
        adds_columns: Of the story, those that are given.
        known: Which of them are columns of what `finds` gives, by their names there.
    """

    takes: Sequence[ColumnElement[int]]
    finds: Select[Any]
    notes: Insert
    adds: ReturningInsert[Any]
    adds_columns: Sequence[str]
    known: Mapping[str, str]

    def _written(self) -> _Function:
        types: dict[str, str] = {}
        locks = [
            f"PERFORM pg_advisory_xact_lock({number}) WHERE {number} IS NOT NULL;"
            for number in (_text(taken, types) for taken in self.takes)
        ]
        known = {name: f"{_FOUND}.{there}" for name, there in self.known.items()}
        body = _ADDING.format(
            found=_FOUND,
            locks="\n".join(locks),
            finds=_text(self.finds, types),
            notes=_text(self.notes, types),
            adds=_text(self.adds, types, known, self.adds_columns),
        )
        return _Function.of(body, types, _columns(self.adds))


def _columns(statement: ReturningUpdate[Any] | ReturningInsert[Any]) -> Mapping[str, str]:
    """What the rows have that a statement gives."""
    return {column.name: _type(column.type) for column in statement.exported_columns}
