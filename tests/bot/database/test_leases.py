"""Who tells a story: one bot at a time, and another when that one dies, on a real database."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from bot.database.clock import now
from bot.database.tables import State
from tests.bot.rows import lapse
from tests.bot.wishes import queue_of, wish

if TYPE_CHECKING:
    from bot.database import Database
    from bot.database.queue import Queue


async def test_a_claim_sets_the_lease_and_counts_the_attempt(queue: Queue) -> None:
    await queue.enqueue(wish())
    story = await queue.claim("bot")
    assert story is not None
    assert (story.state, story.lease_owner, story.attempts) == (State.TELLING, "bot", 1)
    assert story.lease_until is not None
    assert now() < story.lease_until < now() + dt.timedelta(seconds=31)
    assert await queue.claim("another") is None


async def test_a_resting_models_stories_wait_while_others_are_claimed(queue: Queue) -> None:
    resting = await queue.enqueue(wish(model="lstm-starter"))
    other = await queue.enqueue(wish(member=2))
    claimed = await queue.claim("bot", resting={"lstm-starter"})
    assert claimed is not None
    assert claimed.id == other.id
    assert await queue.claim("bot", resting={"lstm-starter"}) is None
    assert await queue.position(resting.id) == 1


async def test_a_dead_bots_story_is_claimed_by_another_and_told_once(
    database: Database, queue: Queue
) -> None:
    story = await queue.enqueue(wish())
    await queue.claim("dead")
    await lapse(database, story.id)
    assert await queue.positions() == {story.id: 1}
    again = await queue.claim("alive")
    assert again is not None
    assert (again.id, again.attempts) == (story.id, 2)
    assert await queue.told(story, "dead", "late", 1) is None
    assert await queue.retry(again, "dead", "late") is None
    assert await queue.fail(story.id, "dead", "late") is None
    told = await queue.told(story, "alive", "a story", 2)
    assert told is not None
    assert (told.state, told.text, told.tokens) == (State.TOLD, "a story", 2)


async def test_a_lapsed_lease_that_nobody_took_is_still_its_owners(
    database: Database, queue: Queue
) -> None:
    story = await queue.enqueue(wish())
    await queue.claim("bot")
    await lapse(database, story.id)
    assert await queue.told(story, "bot", "text", 1) is not None


async def test_what_its_owner_still_works_on_is_not_taken_a_second_time(
    database: Database, queue: Queue
) -> None:
    telling, told = [await queue.enqueue(wish()) for _ in range(2)]
    await queue.claim("bot")
    await queue.claim("bot")
    await queue.told(told, "bot", "text", 1)
    for story in (telling, told):
        await lapse(database, story.id)
    assert await queue.claim("bot", busy={telling.id}) is None
    assert await queue.unshown("bot", 10, busy={told.id}) == []
    assert await queue.claim("bot", busy={told.id}) is not None
    assert [story.id for story in await queue.unshown("bot", 10, busy={telling.id})] == [told.id]


async def test_leases_are_renewed_and_lost_ones_are_named(database: Database, queue: Queue) -> None:
    kept, lost = [await queue.enqueue(wish()) for _ in range(2)]
    await queue.claim("bot")
    await queue.claim("bot")
    await lapse(database, lost.id)
    await queue.claim("another")
    await lapse(database, kept.id)
    assert await queue.renew("bot", [kept.id, lost.id]) == {kept.id}
    assert await queue.held("bot") == {kept.id}
    assert await queue.claim("another") is None


async def test_a_failed_attempt_rests_longer_each_time_and_fails_at_last(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So long that the seconds this test takes do not count.
    monkeypatch.setattr("bot.database.queue.REST", 1000)
    queue = queue_of(database, attempts=3)
    await queue.enqueue(wish())
    rests = []
    for _ in range(2):
        story = await queue.claim("bot")
        assert story is not None
        back = await queue.retry(story, "bot", "no answer")
        assert back is not None
        assert (back.state, back.error) == (State.QUEUED, "no answer")
        assert back.lease_until is not None
        rests.append((back.lease_until - now()).total_seconds())
        assert await queue.claim("bot") is None
        assert await queue.position(story.id) == 1
        await lapse(database, story.id)
    assert rests == [pytest.approx(1000, abs=200), pytest.approx(2000, abs=200)]
    story = await queue.claim("bot")
    assert story is not None
    last = await queue.retry(story, "bot", "no answer")
    assert last is not None
    assert (last.state, last.lease_owner) == (State.FAILED, "bot")
    assert await queue.positions() == {}


async def test_a_released_story_is_as_if_it_had_not_been_claimed(queue: Queue) -> None:
    await queue.enqueue(wish())
    story = await queue.claim("bot")
    assert story is not None
    await queue.release("another", [story.id])
    assert await queue.claim("another") is None
    await queue.release("bot", [story.id])
    again = await queue.claim("another")
    assert again is not None
    assert (again.id, again.attempts) == (story.id, 1)


async def test_a_bot_killed_alone_on_its_database_leaves_nothing_to_wait_for(queue: Queue) -> None:
    telling, told = [await queue.enqueue(wish()) for _ in range(2)]
    await queue.claim("killed")
    await queue.claim("killed")
    await queue.told(told, "killed", "text", 1)
    await queue.release_all()
    again = await queue.claim("new")
    assert again is not None
    assert (again.id, again.attempts) == (telling.id, 2)
    assert [story.id for story in await queue.unshown("new", 10)] == [told.id]
