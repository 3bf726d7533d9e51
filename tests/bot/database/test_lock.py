"""One bot on one database, whatever it is called, until it dies."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from bot.database import DatabaseError
from bot.database.connection import sqlite_file
from bot.database.lock import sole_user

if TYPE_CHECKING:
    from pathlib import Path

    from bot.database import Database

on_postgresql = pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)

HOLDERS = "FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"


def holding(url: str) -> subprocess.Popen[bytes]:
    """Another process that has the database."""
    program = (
        "import asyncio, sys\n"
        "from bot.database.lock import sole_user\n"
        "async def hold():\n"
        f"    async with sole_user({url!r}):\n"
        "        print('held', flush=True); sys.stdin.read()\n"
        "asyncio.run(hold())\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    return other


async def test_one_bot_holds_a_database_until_it_dies(database_url: str) -> None:
    with holding(database_url) as other:
        with pytest.raises(DatabaseError, match="Another bot is running") as raised:
            async with sole_user(database_url):
                pass
        assert "\n" not in str(raised.value)
        assert "password" not in str(raised.value)
        other.kill()
        other.wait()
        async with asyncio.timeout(30):
            while True:
                try:
                    # A server needs a moment to see that its client is gone.
                    async with sole_user(database_url):
                        break
                except DatabaseError:
                    assert "sqlite" not in database_url


async def test_two_paths_to_one_file_are_one_database(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "kataribe.db")
    (tmp_path / "folder").symlink_to(tmp_path)
    async with sole_user(f"sqlite+aiosqlite:///{tmp_path / 'kataribe.db'}"):
        for name in ("link.db", "folder/kataribe.db"):
            with pytest.raises(DatabaseError, match="Another bot"):
                async with sole_user(f"sqlite+aiosqlite:///{tmp_path / name}"):
                    pass


@pytest.mark.parametrize("url", ["sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:"])
async def test_what_is_in_memory_is_nobody_elses(url: str) -> None:
    assert sqlite_file(url) is None
    async with sole_user(url), sole_user(url):
        pass


@on_postgresql
async def test_a_lock_that_its_server_let_go_of_is_taken_again(
    database: Database, database_url: str
) -> None:
    async with sole_user(database_url) as watch:
        watching = asyncio.create_task(watch())
        async with asyncio.timeout(30), database.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            first = await connection.scalar(text(f"SELECT pid {HOLDERS}"))
            await connection.execute(text(f"SELECT pg_terminate_backend(pid) {HOLDERS}"))
            while await connection.scalar(text(f"SELECT pid {HOLDERS}")) in {None, first}:
                pass
        assert not watching.done()
        watching.cancel()
        await asyncio.wait([watching])


@on_postgresql
async def test_a_lock_that_another_bot_took_meanwhile_ends_ours(
    database: Database, database_url: str
) -> None:
    async with asyncio.timeout(30), sole_user(database_url) as watch:
        async with database.engine.connect() as connection:
            await connection.execute(text(f"SELECT pg_terminate_backend(pid, 10000) {HOLDERS}"))
        async with sole_user(database_url):
            with pytest.raises(DatabaseError, match="Another bot"):
                await watch()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://kataribe:hidden@127.0.0.1:1/kataribe",
        "postgresql+asyncpg://127.0.0.1:1/kataribe?user=kataribe&password=hidden",
    ],
)
async def test_a_server_that_is_away_is_one_sentence_without_its_password(url: str) -> None:
    with pytest.raises(DatabaseError) as raised:
        async with sole_user(url):
            pass
    assert "127.0.0.1" in str(raised.value)
    assert "hidden" not in str(raised.value)
    assert "\n" not in str(raised.value)
