"""A database as the migrations leave it, made once in a worker, since they take their time."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.database import open_database
from bot.database.connection import sqlite_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from bot.database import Database

_made: list[bytes] = []


class _Statements(dict[tuple[Any, ...], object]):
    """What SQLAlchemy has made of our statements, for all engines of one kind.

    An engine keeps its own, and nearly every test has an engine of its own: to make the same SQL
    anew was a seventh of what such a test costs.
    """

    def get(self, key: tuple[Any, ...], default: object = None) -> object:
        return super().get(_of_kind(key), default)

    def __setitem__(self, key: tuple[Any, ...], made: object) -> None:
        super().__setitem__(_of_kind(key), made)


def _of_kind(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *statement = key
    return (dialect.name, *statement)


_statements = _Statements()


@asynccontextmanager
async def migrated_database(url: str) -> AsyncIterator[Database]:
    """Open a database as the bot does; a new one is on SQLite a copy of one that was migrated."""
    file = sqlite_file(url)
    if file is not None and not file.exists():
        file.write_bytes(await _contents())
    async with open_database(url) as database:
        share_statements(database.engine)
        yield database


def share_statements(engine: AsyncEngine) -> None:
    """Let an engine take statements that another has made into SQL."""
    engine.sync_engine.update_execution_options(compiled_cache=_statements)


async def _contents() -> bytes:
    if not _made:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "migrated.db"
            async with open_database(f"sqlite+aiosqlite:///{file}"):
                pass
            _made.append(file.read_bytes())
    return _made[0]
