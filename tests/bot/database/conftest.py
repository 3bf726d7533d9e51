"""Every test here that asks for a database runs on SQLite and on PostgreSQL, each on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bot.database.postgresql import Server, programs, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    where = programs()
    if where is None:
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    with serve(where) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'kataribe.db'}"
    server: Server = request.getfixturevalue("postgresql")
    return server.new_database()
