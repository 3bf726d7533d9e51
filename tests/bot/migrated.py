"""A database as the migrations leave it, made once in a worker, since they take their time."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bot.database import open_database
from bot.database.connection import sqlite_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.database import Database

_made: list[bytes] = []


@asynccontextmanager
async def migrated_database(url: str) -> AsyncIterator[Database]:
    """Open a database as the bot does; a new one is on SQLite a copy of one that was migrated."""
    file = sqlite_file(url)
    if file is not None and not file.exists():
        file.write_bytes(await _contents())
    async with open_database(url) as database:
        yield database


async def _contents() -> bytes:
    if not _made:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "migrated.db"
            async with open_database(f"sqlite+aiosqlite:///{file}"):
                pass
            _made.append(file.read_bytes())
    return _made[0]
