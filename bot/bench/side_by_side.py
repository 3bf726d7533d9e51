"""Whether bots on one PostgreSQL wait for each other: wishes of one process, and of many."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import resource
import statistics
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, text

from bot.bench.figures import show_progress
from bot.bench.running import BenchError
from bot.config import Queue as QueueSettings
from bot.config import Shards
from bot.database import open_database
from bot.database.connection import make_engine
from bot.database.queue import Queue
from bot.database.reach import SHARE, Reach
from bot.database.wishes import Wish

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.synchronize import Barrier

    from sqlalchemy.ext.asyncio import AsyncConnection

TOGETHER = 8
"""Wishes that a process saves at the same time: PostgreSQL has connections for eight such."""
SERVERS, MEMBERS = 50, 500
"""Of each process."""
TIMES = 3
"""How often each is measured, in turns; the median counts."""
LOOKED_EVERY = 0.05
"""Seconds between two looks at what PostgreSQL's sessions wait for."""
START_WITHIN = 120.0
"""Seconds."""
_NAME = "kataribe bench"
_LOOK = text(f"""
    SELECT coalesce(wait_event_type || ' ' || wait_event, 'working') AS what,
        EXISTS (
            SELECT * FROM unnest(pg_blocking_pids(one.pid)) AS before
            JOIN pg_stat_activity AS other ON other.pid = before
            WHERE other.application_name <> one.application_name
        ) AS by_another
    FROM pg_stat_activity AS one
    WHERE application_name LIKE '{_NAME} %' AND state = 'active'
""")  # noqa: S608  # the name is above


@dataclass(frozen=True, slots=True)
class Run:
    """What some processes did together."""

    per_second: float
    waits: Counter[str]
    """What active sessions of PostgreSQL were found waiting for, and how often."""
    by_another: int
    """How often one was found waiting for a session of another process."""
    bots: float
    """The share of the machine's cores that the processes had, PostgreSQL not among them."""
    machine: float | None
    """The share of the cores that was busy with anything; None where the system does not say."""


async def compare(jobs: int, url: str, processes: int) -> dict[str, object]:
    """Measure, print a table, and give the figures.

    Args:
        jobs: Wishes of each run.
        url: A PostgreSQL database; the wishes are left there.
        processes: How many stand beside the one.

    Raises:
        BenchError: A process did not come to its end.
    """
    async with open_database(url):
        pass  # makes the tables
    runs: dict[int, list[Run]] = {1: [], processes: []}
    for number, count in enumerate([1, processes] * TIMES):
        show_progress(number, 2 * TIMES, "runs")
        runs[count].append(await _run(url, count, jobs, number * jobs))
    show_progress(2 * TIMES, 2 * TIMES, "runs")
    cores = os.cpu_count() or 1
    print(f"{jobs:,} wishes of servers of their own; {cores} cores, PostgreSQL's among them")
    figures: dict[str, object] = {"jobs": jobs, "processes": processes, "cores": cores}
    for count, some in runs.items():
        rate = statistics.median(run.per_second for run in some)
        waits = sum((run.waits for run in some), Counter[str]())
        looks, by_another = waits.total(), sum(run.by_another for run in some)
        busy = [run.machine for run in some if run.machine is not None]
        print(f"{count} processes: {rate:,.0f} a second", end="; ")
        print(
            f"of the cores the bots had {statistics.median(run.bots for run in some):.0%}", end=""
        )
        print(f", all together {statistics.median(busy):.0%}" if busy else "")
        for what, times in waits.most_common(6):
            print(f"  {times / looks:4.0%}  {what}")
        print(f"  {by_another / looks if looks else 0:4.1%}  waited for another process")
        figures |= {
            f"per_second_{count}": round(rate, 1),
            f"by_another_{count}": by_another,
            f"looks_{count}": looks,
        }
    one, many = (statistics.median(run.per_second for run in some) for some in runs.values())
    print(f"{processes} processes: {many / one:.2f} times one")
    return figures | {"times": round(many / one, 3)}


async def _run(url: str, count: int, jobs: int, first: int) -> Run:
    """Have some processes enqueue so many together; `first`: the number of the first wish."""
    begins, context = first, multiprocessing.get_context("spawn")
    ready, ended = context.Barrier(count + 1), context.SimpleQueue()
    parts = [jobs // count + (number < jobs % count) for number in range(count)]
    others = []
    for number, part in enumerate(parts):
        given = (url, Shards(number, number, count), begins, part, ready, ended)
        others.append(context.Process(target=_process, args=given, daemon=True))
        begins += part
    for other in others:
        other.start()
    try:
        with suppress(RuntimeError):  # broken: one of them says why
            await asyncio.to_thread(ready.wait, START_WITHIN)
        if ready.broken:
            raise BenchError("not every process was ready in time; see above")
        before = _machine()
        engine = make_engine(url)
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            waits, by_another = await _watched(connection, others)
        await engine.dispose()
        after = _machine()
        if any(other.exitcode for other in others):
            raise BenchError("a process did not come to its end; see above")
        spans = [ended.get() for _ in others]
    finally:
        for other in others:
            other.kill()
            other.join()
    seconds = max(end for _, end, _ in spans) - min(begin for begin, _, _ in spans)
    cores = os.cpu_count() or 1
    machine = (after[0] - before[0]) / (after[1] - before[1]) if before and after else None
    bots = sum(spent for *_, spent in spans) / seconds / cores
    return Run(jobs / seconds, waits, by_another, bots, machine)


async def _watched(
    connection: AsyncConnection, others: list[SpawnProcess]
) -> tuple[Counter[str], int]:
    """Look what is waited for until all have ended."""
    waits, by_another = Counter[str](), 0
    while any(other.is_alive() for other in others):
        for what, another in (await connection.execute(_LOOK)).all():
            waits[what] += 1
            by_another += another
        await asyncio.sleep(LOOKED_EVERY)
    return waits, by_another


def _machine() -> tuple[float, float] | None:
    """The moments in which cores were busy, and all moments; None: only Linux says it."""
    try:
        user, nice, system, idle, iowait, *more = map(
            int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
        )
    except (OSError, ValueError):
        return None
    busy = user + nice + system + sum(more)
    return busy, busy + idle + iowait


def _process(
    url: str,
    shards: Shards,
    first: int,
    jobs: int,
    ready: Barrier,
    ended: SimpleQueue[tuple[float, float, float]],
) -> None:
    """One of the bots: be ready, enqueue, and say when that began and ended, and what it cost."""
    try:
        ended.put(asyncio.run(_enqueued(url, shards, first, jobs, ready)))
    except BaseException:
        ready.abort()
        raise


async def _enqueued(
    url: str, shards: Shards, first: int, jobs: int, ready: Barrier
) -> tuple[float, float, float]:
    limits = {"waiting": 1_000_000, "per_server": 100_000, "per_member": 1000}
    async with open_database(url) as database:

        def name(connection: Any, _record: object) -> None:
            connection.cursor().execute(f"SET application_name = '{_NAME} {shards.first}'")
            connection.commit()

        event.listen(database.engine.sync_engine, "connect", name)
        database.sessions.reach = Reach(f"bench {shards}", shards, frozenset(shards.numbers))
        queue, numbers = Queue(database.sessions, QueueSettings(**limits)), itertools.count(first)

        async def some(times: int) -> None:
            for _ in range(times):
                number = next(numbers)
                await queue.enqueue(
                    Wish(
                        interaction_id=number,
                        guild_id=(number % SERVERS * shards.total + shards.first) * SHARE,
                        channel_id=1,
                        member_id=(number % MEMBERS * shards.total + shards.first) + 1,
                        prompt="In the year",
                        house_opening=True,
                        model="gpt2-starter",
                        seed=number,
                    )
                )

        # Connections and statements are made before.
        await asyncio.gather(*(queue.position(0) for _ in range(TOGETHER)))
        ready.wait(START_WITHIN)
        begun, cost = time.monotonic(), _cpu()
        share = [len(range(start, jobs, TOGETHER)) for start in range(TOGETHER)]
        await asyncio.gather(*(some(times) for times in share))
        return begun, time.monotonic(), _cpu() - cost


def _cpu() -> float:
    """Seconds of a core that this process had."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
