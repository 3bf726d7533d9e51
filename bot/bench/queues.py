"""Our queue beside those of the shelf: how many jobs a second are enqueued, claimed, finished."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.engine import make_url

from bot.bench.figures import show_progress
from bot.config import Queue as QueueSettings
from bot.database import open_database
from bot.database.queue import Queue
from bot.database.tables import State
from bot.database.wishes import Wish

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.database.tables import Story

TOGETHER = 16
"""Jobs that are enqueued, claimed or finished at the same time."""
TOLD = 32
"""Jobs that are claimed before they are finished: as many as a generator tells at a time."""
OWNER = "bench"
UPKEEP = "ANALYZE"
"""What PostgreSQL does by itself within a minute: until then it knows no table's size."""


async def compare(jobs: int, database_url: str | None) -> dict[str, object]:
    """Measure, print a table, and give the figures.

    Args:
        jobs: How many go through each queue.
        database_url: An empty PostgreSQL database, if there is one; its tables are left there.
    """
    rates: dict[str, Mapping[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="kataribe-bench-") as folder:
        rates["ours_sqlite"] = await _ours(f"sqlite+aiosqlite:///{Path(folder) / 'q.db'}", jobs)
    if database_url is None:
        print("Without --database no PostgreSQL is measured.")
    else:
        rates["ours_postgresql"] = await _ours(database_url, jobs)
        for name, measured in (("procrastinate", _procrastinates), ("oban", _obans)):
            if importlib.util.find_spec(name) is None:
                print(f"{name} is not installed, so it is not measured.")
            else:
                rates[f"{name}_postgresql"] = await measured(database_url, jobs)
    print(f"{jobs:,} jobs, {TOGETHER} at a time; a second")
    print(f"{'':26}{'enqueue':>10}{'claim':>10}{'finish':>10}{'all three':>12}")
    figures: dict[str, object] = {"jobs": jobs}
    for name, row in rates.items():
        print(f"{name:26}" + "".join(f"{rate:10,.0f}" for rate in row.values()))
        figures |= {f"{name}_{step}_per_second": round(rate, 1) for step, rate in row.items()}
    return figures


async def _ours(url: str, jobs: int) -> Mapping[str, float]:
    """A wish with limits, a ledger and its turn; a fair claim with a lease; told, and shown."""
    limits = {"waiting": 1_000_000, "per_server": 100_000, "per_member": 1000}
    async with open_database(url) as database:
        queue, numbers = Queue(database.sessions, QueueSettings(**limits)), itertools.count(1)
        claimed: list[Story] = []

        async def enqueue() -> None:
            number = next(numbers)
            await queue.enqueue(
                Wish(
                    interaction_id=number,
                    guild_id=number % 50 + 1,
                    channel_id=1,
                    member_id=number % 500 + 1,
                    prompt="In the year",
                    house_opening=True,
                    model="gpt2-starter",
                    seed=number,
                )
            )

        async def claim() -> None:
            story = await queue.claim(OWNER)
            assert story is not None  # noqa: S101  # as many wait as are claimed
            claimed.append(story)

        async def finish() -> None:
            story = claimed.pop()
            await queue.told(story, OWNER, "a fox found the moon", 5)
            await queue.shown(story.id, State.TOLD)

        async def upkeep() -> None:
            if database.engine.dialect.name == "postgresql":
                async with database.engine.begin() as connection:
                    await connection.execute(text(UPKEEP))

        steps = {"enqueue": enqueue, "claim": claim, "finish": finish}
        return await _rates(jobs, steps, upkeep)


async def _procrastinates(url: str, jobs: int) -> Mapping[str, float]:
    """A job with a priority; the next one for a worker; succeeded."""
    import procrastinate  # type: ignore[import-not-found]  # noqa: PLC0415  # where it is there
    from procrastinate import jobs as states  # noqa: PLC0415

    connector = procrastinate.PsycopgConnector(conninfo=_plain(url), max_size=TOGETHER)
    app: Any = procrastinate.App(connector=connector)

    @app.task(name="tell")  # type: ignore[untyped-decorator]  # not installed, so not known
    async def tell(prompt: str) -> None:
        """Nobody runs it: what is measured is the queue."""

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        manager, claimed = app.job_manager, []
        worker = await manager.register_worker()

        async def enqueue() -> None:
            await tell.defer_async(prompt="In the year")

        async def claim() -> None:
            claimed.append(await manager.fetch_job(queues=None, worker_id=worker))

        async def finish() -> None:
            await manager.finish_job(claimed.pop(), states.Status.SUCCEEDED, delete_job=False)

        async def upkeep() -> None:
            await app.connector.execute_query_async(UPKEEP)

        steps = {"enqueue": enqueue, "claim": claim, "finish": finish}
        return await _rates(jobs, steps, upkeep)


async def _obans(url: str, jobs: int) -> Mapping[str, float]:
    """The same for Oban's own statements, one job at a time; its workers take and end several."""
    from oban import schema  # type: ignore[import-not-found]  # noqa: PLC0415  # where it is there
    from oban._executor import AckAction  # type: ignore[import-not-found]  # noqa: PLC0415
    from oban._query import Query  # type: ignore[import-not-found]  # noqa: PLC0415
    from oban.job import Job  # type: ignore[import-not-found]  # noqa: PLC0415
    from psycopg_pool import AsyncConnectionPool  # type: ignore[import-not-found]  # noqa: PLC0415

    async with AsyncConnectionPool(_plain(url), min_size=TOGETHER, max_size=TOGETHER) as pool:
        async with pool.connection() as connection:
            await connection.execute(schema.install_sql())
        query: Any = Query(pool)
        claimed: list[Any] = []

        async def enqueue() -> None:
            await query.insert_jobs([Job(worker="tell", args={"prompt": "In the year"})])

        async def claim() -> None:
            claimed.extend(await query.fetch_jobs(1, "default", "bench", OWNER))

        async def finish() -> None:
            await query.ack_jobs([AckAction(job=claimed.pop(), state="completed")])

        async def upkeep() -> None:
            async with pool.connection() as connection:
                await connection.execute(UPKEEP)

        steps = {"enqueue": enqueue, "claim": claim, "finish": finish}
        return await _rates(jobs, steps, upkeep)


def _plain(url: str) -> str:
    """A database's URL as psycopg takes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


async def _rates(
    jobs: int,
    steps: Mapping[str, Callable[[], Awaitable[None]]],
    upkeep: Callable[[], Awaitable[None]],
) -> Mapping[str, float]:
    """Enqueue all jobs, then claim and finish them as a bot does, few being told at a time.

    Gives how often a second each went, and all together.
    """
    enqueue, claim, finish = steps
    spent = dict.fromkeys(steps, 0.0)

    async def take(name: str, times: int) -> None:
        begun = time.perf_counter()
        parts = [range(start, times, TOGETHER) for start in range(TOGETHER)]
        await asyncio.gather(*(_some(steps[name], len(part)) for part in parts))
        spent[name] += time.perf_counter() - begun

    await take(enqueue, jobs)
    await upkeep()
    for done in range(0, jobs, TOLD):
        some = min(TOLD, jobs - done)
        await take(claim, some)
        await take(finish, some)
        show_progress(done + some, jobs, "jobs claimed and finished")
    return {name: jobs / seconds for name, seconds in {**spent, "all": sum(spent.values())}.items()}


async def _some(step: Callable[[], Awaitable[None]], times: int) -> None:
    """Take a part of the steps, one after the other."""
    for _ in range(times):
        await step()
