"""The migrations make what the tables say, keep every row, and can be taken back."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import sys
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    CheckConstraint,
    Connection,
    MetaData,
    UniqueConstraint,
    inspect,
    text,
)
from sqlalchemy.ext.asyncio import create_async_engine

import bot.database.rewriting  # noqa: F401  # as Alembic's entry does
from bot.database import DatabaseError, open_database
from bot.database.clock import now
from bot.database.columns import Base
from bot.database.connection import make_engine
from bot.database.migrating import check_foreign_keys, schema_change
from bot.database.revisions import alembic_config
from bot.database.tables import Rating
from bot.database.word_index import in_tables
from tests.bot.database.ddl import declared
from tests.bot.database.first_schema import fill, rows
from tests.bot.database.in_turn import expected, kept
from tests.bot.wishes import queue_of, wish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.database import Database

on_sqlite = pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Migrated itself, and no copy of one that was."""
    async with open_database(database_url) as opened:
        yield opened


def differences(connection: Connection) -> list[object]:
    options = {"compare_server_default": True, "include_name": in_tables}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, Base.metadata))


def move(connection: Connection, to: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    current = MigrationContext.configure(connection).get_current_revision() or ""
    down = to == "base" or (to != "head" and to < current)
    (command.downgrade if down else command.upgrade)(config, to)


@asynccontextmanager
async def changing(url: str) -> AsyncIterator[AsyncConnection]:
    """The database as migrations have it."""
    engine = make_engine(url)
    try:
        async with schema_change(engine) as connection:
            yield connection
    finally:
        await engine.dispose()


async def made_from(metadata: MetaData, url: str) -> set[str]:
    """What a database says of itself that was made from the tables and no migration."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        lines = await connection.run_sync(declared)
    await engine.dispose()
    return lines


def assert_kept(
    before: dict[str, list[dict[str, Any]]], after: dict[str, list[dict[str, Any]]]
) -> None:
    """Every row is there with every value; tables and columns may have come or gone."""
    assert before.keys() <= after.keys()
    for name, old_rows in before.items():
        assert len(old_rows) == len(after[name])
        for old, new in zip(old_rows, after[name], strict=True):
            both = old.keys() & new.keys()
            assert {key: new[key] for key in both} == {key: old[key] for key in both}


async def test_models_and_migrations_agree(database: Database, new_url: Callable[[], str]) -> None:
    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        migrated = await connection.run_sync(declared)
    assert migrated == await made_from(Base.metadata, new_url())


@pytest.mark.parametrize("lost", ["check", "unique", "predicate", "default", "ondelete"])
async def test_a_lost_constraint_or_predicate_is_noticed(
    database: Database, new_url: Callable[[], str], lost: str
) -> None:
    damaged = MetaData(naming_convention=Base.metadata.naming_convention)
    for declared_table in Base.metadata.sorted_tables:
        declared_table.to_metadata(damaged)
    stories, ratings = damaged.tables["stories"], damaged.tables["ratings"]
    match lost:
        case "check":
            ratings.constraints -= {
                c for c in ratings.constraints if isinstance(c, CheckConstraint)
            }
        case "unique":
            stories.constraints -= {
                c for c in stories.constraints if isinstance(c, UniqueConstraint)
            }
        case "predicate":
            index = next(i for i in stories.indexes if i.name == "ix_stories_unshown")
            for dialect in ("sqlite", "postgresql"):
                index.dialect_options[dialect]["where"] = None
        case "default":
            ratings.c.press_id.server_default = None
        case "ondelete":
            next(iter(ratings.foreign_key_constraints)).ondelete = None
    async with database.engine.connect() as connection:
        assert await connection.run_sync(declared) != await made_from(damaged, new_url())


@on_sqlite
async def test_a_lost_autoincrement_is_noticed(
    database: Database, new_url: Callable[[], str]
) -> None:
    damaged = MetaData()
    for declared_table in Base.metadata.sorted_tables:
        declared_table.to_metadata(damaged).dialect_options["sqlite"]["autoincrement"] = False
    async with database.engine.connect() as connection:
        assert await connection.run_sync(declared) != await made_from(damaged, new_url())


async def test_migrations_keep_every_row_forward_back_and_forward(
    new_url: Callable[[], str],
) -> None:
    url = new_url()
    async with changing(url) as connection:
        await connection.run_sync(move, "0001")
        oldest = await connection.run_sync(declared)
        await fill(connection)
        before = await rows(connection)
    assert [len(before[name]) for name in sorted(before)] == [1, 2, 5, 30]
    for to in ("head", "0001", "head"):
        async with changing(url) as connection:
            await connection.run_sync(move, to)
            assert_kept(before, await rows(connection))
            now_declared = await connection.run_sync(declared)
            if to == "0001":
                assert now_declared == oldest
    assert now_declared == await made_from(Base.metadata, new_url())
    async with open_database(url) as database:
        # The id of a story that was removed is never given again.
        assert (await queue_of(database).enqueue(wish(member=99))).id == 41


async def test_what_had_ended_has_its_moment_after_the_migration(database_url: str) -> None:
    async with changing(database_url) as connection:
        await connection.run_sync(move, "0001")
        await fill(connection)
        await connection.run_sync(move, "head")
        for story in (await rows(connection))["stories"]:
            ended = story["state"] not in {"queued", "telling"}
            assert story["ended_at"] == (story["told_at"] or story["asked_at"] if ended else None)


async def test_whoever_waits_stands_where_they_should_after_the_migration(
    database_url: str,
) -> None:
    async with changing(database_url) as connection:
        await connection.run_sync(move, "0001")
        await fill(connection)
    async with open_database(database_url) as database:
        places = await expected(database)
        # Nobody holds the leases any more, so the five that were being told wait as well.
        assert len(places) == 2 * 5
        assert await kept(queue_of(database)) == places


@on_sqlite
async def test_a_table_written_anew_loses_nothing(
    database_url: str, new_url: Callable[[], str]
) -> None:
    async with changing(database_url) as connection:
        await connection.run_sync(move, "0001")
        await fill(connection)
        await connection.run_sync(move, "head")
        before = await rows(connection)

        def rewrite(sync: Connection) -> None:
            with Operations.context(MigrationContext.configure(sync)) as operations:
                for name in ("stories", "ratings"):
                    with operations.batch_alter_table(name, recreate="always"):
                        pass
            check_foreign_keys(sync)

        await connection.run_sync(rewrite)
        assert await rows(connection) == before
        again = await connection.run_sync(declared)
    assert again == await made_from(Base.metadata, new_url())
    async with open_database(database_url) as database:
        assert (await queue_of(database).enqueue(wish(member=99))).id == 41


@on_sqlite
async def test_a_row_that_refers_to_none_is_named_and_nothing_changes(database_url: str) -> None:
    async with changing(database_url) as connection:
        await connection.run_sync(move, "0001")
        await fill(connection)
        await connection.execute(text("DELETE FROM stories WHERE id = 2"))
        before = await rows(connection)
    with pytest.raises(DatabaseError, match=r"nothing was changed: .*ratings \d+ → stories"):
        async with open_database(database_url):
            pass
    async with changing(database_url) as connection:
        assert await rows(connection) == before


@on_sqlite
async def test_a_copy_of_the_file_is_made_before_it_changes(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = tmp_path / "kataribe.db.before-0006"
    async with changing(database_url) as connection:
        await connection.run_sync(move, "0001")
        await fill(connection)
        before = await rows(connection)
    with caplog.at_level("INFO", "bot"):
        async with open_database(database_url):
            pass
    assert str(copy) in caplog.text
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as kept:
        assert kept.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        assert kept.execute("SELECT count(*) FROM stories").fetchone() == (len(before["stories"]),)
    copy.unlink()
    async with open_database(database_url) as database, database.engine.connect() as opened:
        assert not copy.exists()
        assert (await opened.exec_driver_sql("PRAGMA foreign_keys")).scalar() == 1


async def test_down_and_up_again_gives_the_same_tables(database: Database) -> None:
    async with schema_change(database.engine) as connection:
        before = await connection.run_sync(declared)
        await connection.run_sync(move, "base")
        left = await connection.run_sync(lambda c: inspect(c).get_table_names())
        assert left == ["alembic_version"]
        await connection.run_sync(move, "head")
        assert await connection.run_sync(declared) == before


async def test_stories_told_together_are_one_after_the_way_back(
    database: Database, database_url: str
) -> None:
    queue = queue_of(database)
    together = [wish(interaction_id=999, nth=nth) for nth in (0, 1)]
    first, second = await queue.enqueue_together(together)
    following = await queue.enqueue(wish(parent_id=second.id))
    async with database.sessions.begin() as session:
        for story in (first, second):
            session.add(Rating(story_id=story.id, member_id=7, stars=5, press_id=1, rated_at=now()))
    async with changing(database_url) as connection:
        await connection.run_sync(move, "0002")
        left = await connection.execute(text("SELECT id, parent_id FROM stories ORDER BY id"))
        assert left.all() == [(first.id, None), (following.id, None)]
        rated = await connection.scalars(text("SELECT story_id FROM ratings"))
        assert rated.all() == [first.id]
        await connection.run_sync(move, "head")


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


async def test_a_migration_that_fails_leaves_nothing_of_itself(database_url: str) -> None:
    async with changing(database_url) as connection:
        # The last table that the first migration makes is in its way.
        await connection.execute(text("CREATE TABLE audit (id INTEGER)"))
    with pytest.raises(DatabaseError, match="audit"):
        async with open_database(database_url):
            pass
    async with changing(database_url) as connection:
        names = await connection.run_sync(lambda c: inspect(c).get_table_names())
    assert names == ["audit"]


async def test_a_developer_moves_a_database_by_alembics_own_command(database_url: str) -> None:
    environment = {**os.environ, "KATARIBE_DATABASE__URL": database_url}
    for command_line in (["upgrade", "head"], ["check"], ["downgrade", "base"]):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "alembic", *command_line), env=environment
        )
        assert await process.wait() == 0
