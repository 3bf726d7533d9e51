"""What each statement of the bot costs when very many stories were told."""

from __future__ import annotations

import datetime as dt
import statistics
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import String, case, cast, event, insert, literal, null, select

from bot.bench.figures import show_progress
from bot.bench.steps import DUEL_EVERY, FOLLOWS_BACK, FOLLOWS_EVERY, Bench, steps
from bot.database import Database, open_database
from bot.database.clock import now
from bot.database.ratings import PRIOR_STARS, PRIOR_VOTES
from bot.database.tables import Asked, Audit, Duel, DuelVote, Rating, Report, State, Story
from bot.database.turns import put_all_right

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

TIMES = 30
"""How often each is measured."""
LIVE = 1000
"""Stories that wait: as many as the default settings let."""
UNSHOWN = 20
"""Stories that ended and are not shown yet."""
KINDS = 5000
"""Different beginnings."""
MANY = 3
"""Votes of a story that stands among the best."""
VOTERS = 5
"""Members who voted in each duel."""
_STATEMENTS = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")
"""What begins those that do more than to begin a transaction, or to end it."""
CHUNK = 20_000
"""Rows inserted by one statement."""
TEXT = "The fox looked at the moon for a long time and said nothing at all. " * 14


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of one step, each time it was taken."""

    statements: list[float] = field(default_factory=list)
    """In the database."""
    whole: list[float] = field(default_factory=list)
    """With the transaction's beginning and its commit, which waits for the disk."""


def fewest(live: int = LIVE) -> int:
    """The smallest database in which so many wait."""
    return 2 * (live + UNSHOWN)


async def cost(count: int, live: int = LIVE) -> dict[str, object]:
    """Measure a database of so many stories, print a table, and give the figures."""
    return show(count, await measure(count, live=live), live)


async def measure(count: int, *, live: int = LIVE, times: int = TIMES) -> dict[str, Cost]:
    """Fill a database that is thrown away with so many stories, and take every step on it.

    Args:
        count: Stories in it.
        live: How many of them wait.
        times: How often each step is taken.
    """
    with tempfile.TemporaryDirectory(prefix="kataribe-bench-") as folder:
        url = f"sqlite+aiosqlite:///{Path(folder) / 'bench.db'}"
        async with open_database(url) as database:
            await fill(database, count, live=live, progress=_shown)
            bench = Bench(database.sessions, count)
            costs: dict[str, Cost] = {}
            for step in steps(bench):
                cost = costs[step.name] = Cost()
                for _ in range(times):
                    given = await step.prepare()
                    with _watched(database) as spent:
                        begun = time.perf_counter()
                        await step.take(given)
                        cost.whole.append(1000 * (time.perf_counter() - begun))
                    cost.statements.append(1000 * sum(spent))
            return costs


async def fill(
    database: Database,
    count: int,
    *,
    live: int = LIVE,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write stories as a busy bot leaves them: nearly all told and shown, some waiting.

    Some continue another, every second has a vote, and every twentieth has enough of them to
    stand among the best; every fifth has a line in the trail, every twentieth was reported.
    """
    done = 0
    while done < count:
        until = min(done + CHUNK, count)
        async with database.sessions.begin() as session:
            await session.execute(_stories(done + 1, until, count, live))
            await session.execute(_ratings(done + 1, until))
            await session.execute(_trail(done + 1, until, count))
            await session.execute(_reports(done + 1, until, count))
            await session.execute(_asked(done + 1, until))
            await session.execute(_duels(done + 1, until))
            await session.execute(_duel_votes(done + 1, until))
        done = until
        if done == count:
            async with database.sessions.begin() as session:
                await put_all_right(session)
        if progress is not None:
            progress(done, count)


def _numbers(first: int, last: int, name: str = "numbers") -> Any:
    numbers = select(literal(first).label("i")).cte(name, recursive=True)
    return numbers.union_all(select(numbers.c.i + 1).where(numbers.c.i < last))


def _stories(first: int, last: int, count: int, live: int) -> Any:
    i = _numbers(first, last).c.i
    ended = i <= count - live
    shown = i <= count - live - UNSHOWN
    # A busy day: its stories are of one moment, which is as good for a statement as many.
    days = (count - last) // CHUNK
    moment = literal(now() - dt.timedelta(days=days, hours=1), Story.asked_at.type)
    votes = case((~ended, 0), (i % 20 == 0, MANY), (i % 2 == 0, 1), else_=0)
    stars = i % 5 + 1
    values = {
        Story.interaction_id: i,
        Story.guild_id: case((i % 10 > 0, i % max(count // 500, 2))),
        Story.channel_id: i % 1000,
        Story.message_id: i,
        Story.member_id: i % max(count // 20, 2),
        Story.parent_id: case(
            ((i % FOLLOWS_EVERY == 0) & (i > FOLLOWS_BACK), i - FOLLOWS_BACK),
        ),
        Story.prompt: literal("In the year ").concat(cast(i % KINDS, String)),
        Story.house_opening: i % 2 == 0,
        Story.model: literal("gpt2-starter"),
        Story.seed: i,
        Story.text: case((ended, literal(TEXT)), else_=literal("")),
        Story.tokens: i % 220,
        Story.state: case(
            (ended, literal(State.TOLD, Story.state.type)),
            else_=literal(State.QUEUED, Story.state.type),
        ),
        Story.attempts: case((ended, 1), else_=0),
        Story.asked_at: moment,
        Story.told_at: case((ended, moment), else_=null()),
        Story.ended_at: case((ended, moment), else_=null()),
        Story.shown_at: case((shown, moment), else_=null()),
        Story.votes: votes,
        Story.stars: votes * stars,
        Story.score: case((votes == MANY, (MANY * stars + PRIOR_STARS) / (MANY + PRIOR_VOTES))),
    }
    rows = select(*values.values()).order_by(i)
    return insert(Story).from_select([column.key for column in values], rows)


def _ratings(first: int, last: int) -> Any:
    i = _numbers(first, last).c.i
    rows = select(i, literal(-1), i % 5 + 1, i, literal(now(), Rating.rated_at.type)).where(
        i % 2 == 0
    )
    columns = ["story_id", "member_id", "stars", "press_id", "rated_at"]
    return insert(Rating).from_select(columns, rows)


def _reports(first: int, last: int, count: int) -> Any:
    i = _numbers(first, last).c.i
    values = {
        Report.story_id: i,
        Report.guild_id: i % max(count // 500, 2),
        Report.member_id: literal(-1),
        Report.reason: literal("no"),
        Report.reported_at: literal(now(), Report.reported_at.type),
        Report.kept: case((i % 100 > 0, i % 2 == 0)),
    }
    rows = select(*values.values()).where(i % 20 == 0)
    return insert(Report).from_select([column.key for column in values], rows)


def _trail(first: int, last: int, count: int) -> Any:
    i = _numbers(first, last).c.i
    moment = literal(now(), Audit.at.type)
    values = {
        Audit.guild_id: i % max(count // 500, 2),
        Audit.moderator_id: i % 3,
        Audit.act: literal("mute"),
        Audit.detail: literal("until tomorrow"),
        Audit.member_id: i % max(count // 20, 2),
        Audit.at: moment,
    }
    rows = select(*values.values()).where(i % 5 == 0)
    return insert(Audit).from_select([column.key for column in values], rows)


def _asked(first: int, last: int) -> Any:
    i = _numbers(first, last).c.i
    day = literal(now().date(), Asked.day.type)
    rows = select(i, literal(1), day, literal(1), literal(now(), Asked.last_at.type))
    return insert(Asked).from_select(["member_id", "guild_id", "day", "count", "last_at"], rows)


def _duels(first: int, last: int) -> Any:
    """Every fourth story is the first of a duel, nearly all of them closed."""
    i = _numbers(first, last).c.i
    moment = literal(now(), Duel.opened_at.type)
    values = {
        Duel.id: i,
        Duel.interaction_id: i,
        Duel.guild_id: i % 5000,
        Duel.channel_id: i % 1000,
        Duel.member_id: i % 1000,
        Duel.model_a: literal("gpt2-starter"),
        Duel.model_b: literal("lstm-starter"),
        Duel.opened_at: moment,
        Duel.closes_at: moment,
        Duel.closed_at: case((i % 1000 > 0, moment), else_=null()),
    }
    rows = select(*values.values()).where(i % DUEL_EVERY == 0)
    return insert(Duel).from_select([column.key for column in values], rows)


def _duel_votes(first: int, last: int) -> Any:
    numbers, voters = _numbers(first, last), _numbers(1, VOTERS, "voters")
    i, moment = numbers.c.i, literal(now(), DuelVote.voted_at.type)
    rows = (
        select(i, -voters.c.i, literal("a"), i, moment)
        .join_from(numbers, voters, voters.c.i > 0)
        .where(i % DUEL_EVERY == 0)
    )
    columns = ["duel_id", "member_id", "choice", "press_id", "voted_at"]
    return insert(DuelVote).from_select(columns, rows)


@contextmanager
def _watched(database: Database) -> Iterator[list[float]]:
    """Collect the seconds that each statement takes, of SQLAlchemy's and of the driver's own."""
    engine, over = database.engine.sync_engine, False
    spent: list[float] = []
    begun = 0.0

    def before(*_: object) -> None:
        nonlocal begun
        begun = time.perf_counter()

    def after(*_: object) -> None:
        spent.append(time.perf_counter() - begun)

    def taken(connection: Any, record: Any, _proxy: object) -> None:
        driver = connection.driver_connection
        does = record.info.setdefault("does", driver.execute_fetchall)

        async def timed(words: str, values: Sequence[Any] = ()) -> Any:
            begins = time.perf_counter()
            rows = await does(words, values)
            if not over and words.startswith(_STATEMENTS):
                spent.append(time.perf_counter() - begins)
            return rows

        driver.execute_fetchall = timed

    listeners = (
        ("before_cursor_execute", before),
        ("after_cursor_execute", after),
        ("checkout", taken),
    )
    for name, listener in listeners:
        event.listen(engine, name, listener)
    try:
        yield spent
    finally:
        over = True
        for name, listener in listeners:
            event.remove(engine, name, listener)


def _shown(done: int, count: int) -> None:
    show_progress(done, count, "stories written")


def show(count: int, costs: dict[str, Cost], live: int = LIVE) -> dict[str, object]:
    """Print a table for people, and give the figures for programs."""
    print(f"{count:,} stories, {live:,} of them waiting; milliseconds")
    print(f"{'':20}{'statements':>16}{'with commit':>16}")
    print(f"{'':20}{'median':>8}{'worst':>8}{'median':>8}{'worst':>8}")
    row: dict[str, object] = {"rows": count, "waiting": live}
    for name, cost in costs.items():
        figures = [
            figure(values)
            for values in (cost.statements, cost.whole)
            for figure in (statistics.median, max)
        ]
        print(f"{name:20}" + "".join(f"{figure:8.2f}" for figure in figures))
        row[f"{name}_ms"], row[f"{name}_ms_worst"] = (round(figure, 3) for figure in figures[:2])
    return row
