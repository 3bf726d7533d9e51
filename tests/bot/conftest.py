"""A migrated database and a generator of our own for each test.

POSTGRES_URL in the environment takes that database instead.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bot.database import Database, open_database
from bot.database.tables import Base
from tests.bot.teller import Teller, teller
from tests.bot.wishes import queue_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.database.queue import Queue


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return os.environ.get("POSTGRES_URL") or f"sqlite+aiosqlite:///{tmp_path / 'kataribe.db'}"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as opened:
        yield opened
        if opened.engine.dialect.name == "postgresql":
            async with opened.engine.begin() as connection:
                for table in reversed(Base.metadata.sorted_tables):
                    await connection.execute(table.delete())


@pytest.fixture
def queue(database: Database) -> Queue:
    return queue_of(database)


@pytest.fixture
async def tells() -> AsyncIterator[Teller]:
    async with teller() as told:
        yield told
