"""The migrations make what the tables say, and can be taken back."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from bot.database import DatabaseError, open_database
from bot.database.connection import alembic_config
from bot.database.tables import Base
from tests.bot.wishes import queue_of, wish

if TYPE_CHECKING:
    from pathlib import Path

    from bot.database import Database


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_server_default": True})
    return list(compare_metadata(context, Base.metadata))


def move(connection: Connection, to: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    (command.downgrade if to == "base" else command.upgrade)(config, to)


async def test_models_and_migrations_agree(database: Database) -> None:
    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_down_and_up_again_gives_the_same_tables(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(move, "base")
        left = await connection.run_sync(lambda c: inspect(c).get_table_names())
        assert left == ["alembic_version"]
        await connection.run_sync(move, "head")
        assert await connection.run_sync(differences) == []


async def test_opening_again_keeps_everything(database: Database, database_url: str) -> None:
    story = await queue_of(database).enqueue(wish())
    async with open_database(database_url) as again:
        assert await queue_of(again).positions() == {story.id: 1}


async def test_a_database_newer_than_the_code_is_left_alone(
    database: Database, database_url: str
) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match=r"newer Kataribe \(revision 9999\)"):
        async with open_database(database_url):
            pass
    async with database.engine.begin() as connection:
        assert await connection.run_sync(lambda c: inspect(c).has_table("stories"))
        await connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))


async def test_a_migration_that_fails_leaves_nothing_of_itself(database_url: str) -> None:
    async with open_database(database_url) as database, database.engine.begin() as connection:
        await connection.run_sync(move, "base")
        # The last table that the first migration makes is in its way.
        await connection.execute(text("CREATE TABLE audit (id INTEGER)"))
    with pytest.raises(DatabaseError, match="audit"):
        async with open_database(database_url):
            pass
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        names = await connection.run_sync(lambda c: inspect(c).get_table_names())
        await connection.execute(text("DROP TABLE audit"))
    await engine.dispose()
    assert "stories" not in names


async def test_a_developer_moves_a_database_by_alembics_own_command(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "KATARIBE_DATABASE__URL": f"sqlite+aiosqlite:///{tmp_path / 'kataribe.db'}",
    }
    for command_line in (["upgrade", "head"], ["check"], ["downgrade", "base"]):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "alembic", *command_line), env=environment
        )
        assert await process.wait() == 0
