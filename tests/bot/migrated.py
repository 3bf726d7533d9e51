"""A database as the migrations leave it, made once in a worker, since they take their time."""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import make_url

from bot.database import open_database
from bot.database.connection import make_engine, sqlite_file
from tests.bot.database.postgresql import programs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from bot.database import Database

_made: list[bytes] = []
_dumped: list[str] = []
_SCHEMA = "the_schema"
"""Where a dump's own is named."""


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
    """Open a database as the bot does; a new one is a copy of one that was migrated."""
    file = sqlite_file(url)
    if file is not None and not file.exists():
        file.write_bytes(await _contents())
    on_server = file is None and make_url(url).get_backend_name() == "postgresql"
    if on_server and _dumped:
        await _fill(url)
    async with open_database(url) as database:
        share_statements(database.engine)
        if on_server and not _dumped:
            _dumped.append(await asyncio.to_thread(_dump, url))
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


def _dump(url: str) -> str:
    """A schema of PostgreSQL as the SQL that makes it again, in another of any name."""
    at, where = make_url(url), programs()
    assert where is not None
    dumped = subprocess.run(
        [where / "pg_dump", "--inserts", "--no-owner", "-h", str(at.query["host"]),
         "-U", str(at.username), "-n", str(at.username), "postgres"],
        check=True, capture_output=True, text=True, env={},
    ).stdout  # fmt: skip
    named = re.sub(rf"\b{at.username}\b", _SCHEMA, dumped)
    # The schema is there already; and what begins with a backslash is psql's.
    return re.sub(rf"(?m)^(CREATE SCHEMA {_SCHEMA};|\\.*)$", "", named)


async def _fill(url: str) -> None:
    """Run a dump: many statements at once, which only the driver itself takes."""
    engine = make_engine(url)
    async with engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.execute(_dumped[0].replace(_SCHEMA, str(engine.url.username)))
    await engine.dispose()  # a dump leaves settings of its own on its connection
