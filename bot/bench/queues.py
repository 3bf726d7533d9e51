"""Our queue beside one of the shelf: how many jobs a second are enqueued, claimed and finished."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import make_url

from bot.bench.figures import show_progress
from bot.config import Queue as QueueSettings
from bot.database import open_database
from bot.database.queue import Queue
from bot.database.tables import State
from bot.database.wishes import Wish

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bot.database.tables import Story

TOGETHER = 16
"""Jobs that are enqueued, claimed or finished at the same time."""
OWNER = "bench"


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
        if importlib.util.find_spec("procrastinate") is None:
            print("procrastinate is not installed, so it is not measured.")
        else:
            rates["procrastinate_postgresql"] = await _procrastinates(database_url, jobs)
    print(f"{jobs:,} jobs, {TOGETHER} at a time; a second")
    print(f"{'':26}{'enqueue':>10}{'claim':>10}{'finish':>10}")
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
            await queue.told(story.id, OWNER, "a fox found the moon", 5)
            await queue.shown(story.id, State.TOLD)

        return await _rates(jobs, {"enqueue": enqueue, "claim": claim, "finish": finish})


async def _procrastinates(url: str, jobs: int) -> Mapping[str, float]:
    """A job with a priority; the next one for a worker; succeeded."""
    import procrastinate  # type: ignore[import-not-found]  # noqa: PLC0415  # where it is there
    from procrastinate import jobs as states  # noqa: PLC0415

    connector = procrastinate.PsycopgConnector(
        conninfo=make_url(url).set(drivername="postgresql").render_as_string(hide_password=False),
        max_size=TOGETHER,
    )
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

        return await _rates(jobs, {"enqueue": enqueue, "claim": claim, "finish": finish})


async def _rates(
    jobs: int, steps: Mapping[str, Callable[[], Awaitable[None]]]
) -> Mapping[str, float]:
    """Take each step as often as there are jobs; how often a second it went."""
    rates = {}
    for name, step in steps.items():
        begun = time.perf_counter()
        parts = [range(start, jobs, TOGETHER) for start in range(TOGETHER)]
        await asyncio.gather(*(_some(step, part, jobs) for part in parts))
        show_progress(jobs, jobs, f"jobs: {name}")
        rates[name] = jobs / (time.perf_counter() - begun)
    return rates


async def _some(step: Callable[[], Awaitable[None]], part: Sequence[int], jobs: int) -> None:
    """Take a part of the steps, one after the other."""
    for number in part:
        await step()
        if number % 100 == 0:
            show_progress(number, jobs, "jobs")
