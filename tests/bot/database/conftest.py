"""Every test here that asks for a database runs on SQLite and on PostgreSQL, each on its own."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.bot.database.postgresql import Server, programs, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    where = programs()
    if where is None:
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    with serve(where) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """The URL of an empty database, and of another one each time."""
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgresql")
        return server.new_database
    names = itertools.chain(["kataribe.db"], (f"{n}.db" for n in itertools.count(2)))
    return lambda: f"sqlite+aiosqlite:///{tmp_path / next(names)}"


@pytest.fixture
def database_url(new_url: Callable[[], str]) -> str:
    return new_url()
