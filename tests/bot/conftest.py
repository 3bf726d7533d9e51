"""A migrated database and a generator of our own for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot import answering
from tests.bot.migrated import migrated_database
from tests.bot.teller import Teller, teller
from tests.bot.wishes import queue_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.database import Database
    from bot.database.queue import Queue


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'kataribe.db'}"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with migrated_database(database_url) as opened:
        yield opened


@pytest.fixture
def queue(database: Database) -> Queue:
    return queue_of(database)


@pytest.fixture
async def tells() -> AsyncIterator[Teller]:
    async with teller() as told:
        yield told


@pytest.fixture(autouse=True)
def _a_slow_machine_answers_as_a_fast_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the database takes here, no member is told that the bot thinks."""
    monkeypatch.setattr(answering, "ANSWERED_WITHIN", 3600.0)
