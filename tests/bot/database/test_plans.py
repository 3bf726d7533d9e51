"""No statement of the bot reads a whole table, however many stories were told."""

from __future__ import annotations

import inspect
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text

from bot.bench.rows import fill
from bot.bench.steps import Bench, Step, steps
from bot.config import Shards
from bot.database import (
    boards,
    browsing,
    departures,
    duels,
    figures,
    guilds,
    mutes,
    open_database,
    openings,
    privacy,
    queue,
    ratings,
    removals,
    reports,
    stories,
    trail,
)
from bot.database.reach import Reach
from tests.bot.database.overhearing import overheard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bot.database import Database

ROWS = 20_000
"""Enough for PostgreSQL to prefer an index where there is one."""
REPOSITORIES = {
    "queue": queue.Queue,
    "stories": stories.Stories,
    "ratings": ratings.Ratings,
    "guilds": guilds.Guilds,
    "browsing": browsing.Browsing,
    "figures": figures.Figures,
    "mutes": mutes.Mutes,
    "reports": reports.Reports,
    "removals": removals.Removals,
    "trail": trail.Trail,
    "privacy": privacy.Privacy,
    "departures": departures.Departures,
    "openings": openings.Openings,
    "boards": boards.Boards,
    "duels": duels.Duels,
}
TABLE = r"(stories|ratings|duel_votes|duels|audit|asked|reports)\w*"
"""Tables that grow with use; of servers there are few, and they are found by their key."""
SMALL = ("ix_stories_unshown", "ix_stories_answer_until", "ix_duels_open")
"""Indexes that hold only what is not shown yet: to read one of them whole is little."""
SEVERAL = Reach("a bot", Shards(0, 3, 16), frozenset(range(6)))
"""What one of several bots takes; SQLite has but one."""
OF_SEVERAL = (
    *("queue.claim", "queue.unshown", "queue.positions", "queue.cancel", "queue.release_dead"),
    *("boards.due", "removals.remove"),
)
"""What it does otherwise than one alone."""
BOUNDS = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
"""Of a transaction."""
MAKING = "SELECT pg_advisory_xact_lock"
CALL = "SELECT * FROM kataribe_"
"""Of a function that does what a `OneCall` says."""
EXPLAINED = """
LOAD 'auto_explain';
SET LOCAL auto_explain.log_level = 'notice';
SET LOCAL auto_explain.log_min_duration = 0;
SET LOCAL auto_explain.log_nested_statements = on
"""
EMPTY = "cost=0.00..0.00"
"""Of a table without a row PostgreSQL knows that there is nothing to read."""


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as opened:
        await fill(opened, ROWS)
        if opened.engine.dialect.name == "postgresql":
            # As its own upkeep does after a while; the bot never asks SQLite for it.
            async with opened.engine.begin() as connection:
                await connection.execute(text("ANALYZE"))
        # Whatever is asked passes by the pool, where it is overheard: no connection is kept.
        await opened.sessions.aclose()
        yield opened


def scans(dialect: str, plan: list[str]) -> list[str]:
    """The lines of a plan that read a whole table, or an index that grows with it."""
    found = []
    for line in plan:
        if dialect == "sqlite":
            whole = re.search(rf"\bSCAN {TABLE}", line)
        else:
            whole = re.search(rf"Seq Scan on {TABLE}", line)
        if whole and not any(part in line for part in (*SMALL, EMPTY)):
            found.append(line)
    return found


async def plan_of(database: Database, statement: str, parameters: Any) -> list[str]:
    if statement.startswith(CALL):
        return await plans_within(database, statement, parameters)
    how = "EXPLAIN QUERY PLAN" if database.engine.dialect.name == "sqlite" else "EXPLAIN"
    async with database.engine.connect() as connection:
        result = await connection.exec_driver_sql(f"{how} {statement}", parameters)
        return [str(row[-1]) for row in result]


async def plans_within(database: Database, call: str, parameters: Any) -> list[str]:
    """The plans that a function of ours follows; what it does is taken back."""
    lines: list[str] = []
    async with database.engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        driver.add_log_listener(lambda _, said: lines.extend(said.message.splitlines()))
        transaction = driver.transaction()
        await transaction.start()
        await driver.execute(EXPLAINED)
        await driver.fetch(call, *parameters)
        await transaction.rollback()
        await connection.invalidate()
    plans = [line.strip() for line in lines if "cost=" in line]
    assert len(plans) > len(("finds", "changes"))
    return plans


def test_every_method_of_the_repositories_is_taken_once() -> None:
    every = {
        f"{name}.{method}"
        for name, repository in REPOSITORIES.items()
        for method, function in inspect.getmembers(repository, inspect.isfunction)
        if not method.startswith("_") and inspect.iscoroutinefunction(inspect.unwrap(function))
    }
    taken = [step.name for step in steps(Bench(None, 1))]  # type: ignore[arg-type]  # names only
    assert sorted(taken) == sorted(every)


@contextmanager
def collected(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """What is asked meanwhile, of SQLAlchemy or of the driver itself: with parameters."""
    statements: list[tuple[str, Any]] = []

    def collect(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        statements.append((statement, parameters))

    def hear(statement: str, parameters: Any) -> None:
        if not statement.startswith((*BOUNDS, MAKING)):
            statements.append((statement, parameters))

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", collect)
    with overheard(database, hear):
        yield statements
    event.remove(engine, "before_cursor_execute", collect)


async def test_no_statement_reads_a_whole_table(filled: Database) -> None:
    engine = filled.engine
    bench, read_whole = Bench(filled.sessions, ROWS), {}
    every: list[tuple[Reach | None, Step]] = [(None, step) for step in steps(bench)]
    if engine.dialect.name == "postgresql":
        every += [(SEVERAL, step) for step in steps(bench) if step.name in OF_SEVERAL]
    for reach, step in every:
        filled.sessions.reach = reach
        given = await step.prepare()
        with collected(filled) as statements:
            await step.take(given)
        assert statements, step.name
        for statement, parameters in statements:
            plan = await plan_of(filled, statement, parameters)
            if lines := scans(engine.dialect.name, plan):
                read_whole[step.name] = lines
    assert read_whole == {}
    # A statement that does is noticed.
    careless = "SELECT id FROM stories WHERE state NOT IN ('queued', 'telling') ORDER BY tokens"
    assert scans(engine.dialect.name, await plan_of(filled, careless, ())) != []
