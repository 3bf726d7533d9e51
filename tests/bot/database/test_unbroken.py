"""A cancelled task leaves the database usable."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

from bot.database.unbroken import unbroken
from tests.bot.wishes import queue_of, wish

if TYPE_CHECKING:
    import pytest

    from bot.database import Database


async def test_a_cancelled_transaction_locks_nobody_out(database: Database) -> None:
    queue = queue_of(database)
    story = await queue.enqueue(wish(1))
    for turns in range(40):
        # Cancelled after so many turns of the loop: before, inside and after the statement.
        change = asyncio.create_task(queue.posted(story.id, turns))
        for _ in range(turns):
            await asyncio.sleep(0)
        change.cancel()
        await asyncio.wait([change])
        # Less than the database itself would wait for a lock.
        async with asyncio.timeout(9):
            await queue.posted(story.id, turns)


async def test_what_becomes_of_a_cancelled_transaction_is_no_trouble_of_the_loops(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun, fails = asyncio.Event(), asyncio.Event()

    @unbroken
    class Repository:
        async def write(self) -> None:
            begun.set()
            await fails.wait()
            raise LookupError

    write = asyncio.create_task(Repository().write())
    await begun.wait()
    write.cancel()
    fails.set()
    await asyncio.wait([write])
    assert write.cancelled()
    del write  # it keeps the frame that has the transaction
    gc.collect()
    assert "never retrieved" not in caplog.text
