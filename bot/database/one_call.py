"""A story found and changed in one message to PostgreSQL: by a function there, of our statements.

A transaction of few statements is mostly waiting: for its beginning, for each of them, and for its
end the server is sent a message, and answers. A function is one message, which is a transaction by
itself; its statements are planned once a connection, and each sees what was there when it began,
so what follows a lock sees what the lock waited for. It is made where it is first missed, and bears
the fingerprint of its text: another version of Kataribe makes its own beside it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy.dialects.postgresql.asyncpg import PGCompiler_asyncpg, PGDialect_asyncpg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ClauseElement, Select
    from sqlalchemy.sql.dml import ReturningUpdate
    from sqlalchemy.types import TypeEngine

_MAKING: Final = 7_245_226
"""The lock of who makes a function: of two who make it at once one would fail."""
_FOUND: Final = "the_story_found"
# The best plan does not hang on what is given, and to plan takes longer than to do it. Names of
# what is given are no column's.
_FUNCTION: Final = """\
({parameters}) RETURNS TABLE ({columns})
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $function$
#variable_conflict use_column
DECLARE {found} bigint;
BEGIN
LOOP
SELECT id INTO {found} FROM ({finds}) AS stories_found;
EXIT WHEN {found} IS NULL;
RETURN QUERY WITH changed AS ({changes})
SELECT {names} FROM changed WHERE id = {found};
EXIT WHEN FOUND{once};
END LOOP;
END $function$"""


@dataclass(frozen=True, slots=True)
class _Function:
    """How it is made and called."""

    making: str
    call: str
    order: Sequence[str]
    """In which the call is given its parameters."""

    @classmethod
    def of(cls, finds: Select[Any], changes: ReturningUpdate[Any], *, again: bool) -> Self:
        """Write it down; see `OneCall`."""
        types: dict[str, str] = {}
        columns = {column.name: _written(column.type) for column in changes.exported_columns}
        body = _FUNCTION.format(
            finds=_text(finds, types, {}),
            changes=_text(changes, types, {"story_id": _FOUND}),
            found=_FOUND,
            once="" if again else " OR true",
            parameters=", ".join(f"given_{name} {kind}" for name, kind in types.items()),
            columns=", ".join(f'"{name}" {kind}' for name, kind in columns.items()),
            names=", ".join(f'"{name}"' for name in columns),
        )
        name = f"kataribe_{hashlib.sha256(body.encode()).hexdigest()[:16]}"
        lock = f"SELECT pg_advisory_xact_lock({_MAKING})"
        numbers = ", ".join(f"${number}" for number, _ in enumerate(types, 1))
        return cls(
            making=f"{lock}; CREATE OR REPLACE FUNCTION {name}{body}",
            call=f"SELECT * FROM {name}({numbers})",  # noqa: S608  # nothing of it is given
            order=list(types),
        )


def _text(statement: ClauseElement, types: dict[str, str], known: Mapping[str, str]) -> str:
    """Write a statement down: what it is given is named, and its own values stand in it.

    `types`: of what it is given, and what others were; `known`: what has another name.
    """

    class Compiler(PGCompiler_asyncpg):
        def visit_bindparam(self, bindparam: Any, *args: Any, **how: Any) -> Any:
            if not bindparam.required:
                how["literal_binds"] = True
                return super().visit_bindparam(bindparam, *args, **how)  # type: ignore[no-untyped-call]
            if bindparam.key in known:
                return known[bindparam.key]
            types[bindparam.key] = _written(bindparam.type)
            return f"given_{bindparam.key}"

    dialect = _dialect()
    dialect.statement_compiler = Compiler
    return str(statement.compile(dialect=dialect))


def _written(kind: TypeEngine[Any]) -> str:
    written: str = _dialect().type_compiler_instance.process(kind)
    return written


def _dialect() -> Any:
    return PGDialect_asyncpg()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, eq=False)
class OneCall:
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

    @cached_property
    def _function(self) -> _Function:
        return _Function.of(self.finds, self.changes, again=self.again)

    async def rows(self, driver: Any, missing: type[Exception], given: Mapping[str, Any]) -> Any:
        """Have it done; gives the story's row in a list, or an empty one.

        Args:
            driver: The connection; no transaction is begun.
            missing: Its error for a function that is not there.
            given: The parameters of both, but for the `story_id` of `changes`.
        """
        function = self._function
        values = [given[name] for name in function.order]
        try:
            return await driver.fetch(function.call, *values)
        except missing:
            await driver.execute(function.making)
            return await driver.fetch(function.call, *values)
