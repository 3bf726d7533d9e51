"""The queue: durable and fair, from a wish to its end, on a real database."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from bot.database import open_database
from bot.database.clock import now
from bot.database.limits import QueueFullError, Scope
from bot.database.tables import Audit, State
from tests.bot.rows import change, get, lapse
from tests.bot.wishes import queue_of, wish

if TYPE_CHECKING:
    from bot.database import Database
    from bot.database.queue import Queue


async def test_a_wish_is_saved_before_enqueue_returns(
    database: Database, database_url: str
) -> None:
    asked = wish(prompt="A shinigami", seed=2**62, parent_id=None)
    story = await queue_of(database).enqueue(asked)
    async with open_database(database_url) as another:
        saved = await get(another, story.id)
    assert saved.state is State.QUEUED
    assert (saved.prompt, saved.seed, saved.member_id) == ("A shinigami", 2**62, 1)
    assert (saved.attempts, saved.text, saved.message_id) == (0, "", None)
    assert now() - saved.asked_at < dt.timedelta(minutes=1)


async def test_the_same_interaction_twice_is_one_story(queue: Queue) -> None:
    asked = wish()
    first = await queue.enqueue(asked)
    again = await asyncio.gather(*(queue.enqueue(asked) for _ in range(5)))
    assert {story.id for story in again} == {first.id}
    assert await queue.positions() == {first.id: 1}


async def test_a_second_delivery_is_answered_though_the_limit_is_reached(
    database: Database,
) -> None:
    queue = queue_of(database, per_member=1)
    asked = wish()
    first = await queue.enqueue(asked)
    assert (await queue.enqueue(asked)).id == first.id


@pytest.mark.parametrize(
    ("settings", "scope", "limit"),
    [
        ({"per_member": 2}, Scope.MEMBER, 2),
        ({"per_server": 2}, Scope.SERVER, 2),
        ({"waiting": 2}, Scope.ALL, 2),
    ],
)
async def test_each_limit_holds_when_many_ask_at_once(
    database: Database, settings: dict[str, int], scope: Scope, limit: int
) -> None:
    queue = queue_of(database, **settings)
    answers = await asyncio.gather(
        *(queue.enqueue(wish()) for _ in range(8)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, QueueFullError)]
    assert len(answers) - len(refused) == limit
    assert {(error.scope, error.limit) for error in refused} == {(scope, limit)}
    assert len(await queue.positions()) == limit


async def test_a_limit_counts_what_is_being_told_but_not_what_has_ended(
    database: Database,
) -> None:
    queue = queue_of(database, per_member=1)
    story = await queue.enqueue(wish())
    await queue.claim("bot")
    with pytest.raises(QueueFullError):
        await queue.enqueue(wish())
    await queue.told(story, "bot", "text", 1)
    assert (await queue.enqueue(wish())).id != story.id


async def test_private_messages_count_for_no_server(database: Database) -> None:
    queue = queue_of(database, per_server=1)
    for member in (1, 2, 3):
        await queue.enqueue(wish(member, guild_id=None))
    assert len(await queue.positions()) == 3


async def test_nobody_stands_behind_anothers_second_wish(queue: Queue) -> None:
    greedy = [await queue.enqueue(wish(member=1)) for _ in range(3)]
    modest = await queue.enqueue(wish(member=2))
    latest = await queue.enqueue(wish(member=3))
    places = await queue.positions()
    assert sorted(places, key=places.__getitem__) == [
        greedy[0].id,
        modest.id,
        latest.id,
        greedy[1].id,
        greedy[2].id,
    ]
    for story_id, place in places.items():
        assert await queue.position(story_id) == place


async def test_what_is_being_told_counts_as_a_members_turn(queue: Queue) -> None:
    first, second = [await queue.enqueue(wish(member=1)) for _ in range(2)]
    other = await queue.enqueue(wish(member=2))
    claimed = await queue.claim("bot")
    assert claimed is not None
    assert claimed.id == first.id
    assert await queue.positions() == {other.id: 1, second.id: 2}
    assert await queue.position(first.id) is None


async def test_stories_are_claimed_in_the_order_that_positions_promise(queue: Queue) -> None:
    for member in (1, 1, 2, 1, 3, 2):
        await queue.enqueue(wish(member))
    while places := await queue.positions():
        claimed = await queue.claim("bot")
        assert claimed is not None
        assert places[claimed.id] == 1
        await queue.told(claimed, "bot", "text", 1)


async def test_many_bots_claim_every_story_exactly_once(
    database: Database, database_url: str
) -> None:
    queue = queue_of(database, per_member=100)
    asked = {(await queue.enqueue(wish(member=n % 4))).id for n in range(30)}
    claimed: list[int] = []

    async def bot(name: str) -> None:
        async with open_database(database_url) as mine:
            while story := await queue_of(mine).claim(name):
                claimed.append(story.id)

    await asyncio.gather(*(bot(f"bot {n}") for n in range(4)))
    assert sorted(claimed) == sorted(asked)


async def test_only_the_named_stories_are_claimed(queue: Queue) -> None:
    first, second = [await queue.enqueue(wish(member)) for member in (1, 2)]
    assert await queue.claim("bot", only=[]) is None
    assert await queue.claim("bot", only=[first.id], busy=[first.id]) is None
    claimed = await queue.claim("bot", only=[second.id])
    assert claimed is not None
    assert claimed.id == second.id


async def test_only_its_member_cancels_a_story_and_only_before_its_end(queue: Queue) -> None:
    waiting, telling = [await queue.enqueue(wish()) for _ in range(2)]
    assert await queue.cancel(waiting.id, 2) is None
    await queue.claim("bot")
    cancelled = await queue.cancel(waiting.id, 1)
    assert cancelled is not None
    assert cancelled.state is State.CANCELLED
    assert await queue.told(waiting, "bot", "text", 1) is None
    assert await queue.held("bot") == set()
    await queue.claim("bot")
    await queue.told(telling, "bot", "text", 1)
    assert await queue.cancel(telling.id, 1) is None
    assert await queue.cancel(999, 1) is None


async def test_a_moderator_who_calls_a_story_off_leaves_a_trail(
    database: Database, queue: Queue
) -> None:
    story = await queue.enqueue(wish())
    assert await queue.cancel(story.id, 1, moderator_id=9) is not None
    # Too late is no act.
    assert await queue.cancel(story.id, 1, moderator_id=9) is None
    async with database.sessions() as session:
        act = (await session.scalars(select(Audit))).one()
    assert (act.guild_id, act.moderator_id) == (10, 9)
    assert (act.act, act.detail) == ("call off", f"story {story.id}")


async def test_a_story_with_nowhere_to_go_is_over(database: Database, queue: Queue) -> None:
    telling, told = [await queue.enqueue(wish()) for _ in range(2)]
    for _ in range(2):
        await queue.claim("bot")
    await queue.told(told, "bot", "text", 1)
    for story in (telling, told):
        await queue.abandon(story.id, "bot", "the channel is gone")
    assert (await get(database, telling.id)).state is State.CANCELLED
    saved = await get(database, told.id)
    assert (saved.state, saved.text) == (State.TOLD, "text")
    assert await queue.unshown("bot", 10) == []
    assert await queue.positions() == {}


async def test_what_waited_too_long_expires_and_is_apologised_for(
    database: Database, queue: Queue
) -> None:
    old, new, telling = [await queue.enqueue(wish(member)) for member in (1, 2, 3)]
    await change(database, telling.id, state=State.TELLING, lease_owner="bot")
    await change(database, telling.id, lease_until=now() + dt.timedelta(seconds=30))
    for story in (old, telling):
        await change(database, story.id, asked_at=now() - dt.timedelta(days=1, seconds=1))
    await queue.sweep()
    assert await queue.positions() == {new.id: 1}
    expired = await queue.unshown("bot", 10)
    assert [(story.id, story.state) for story in expired] == [(old.id, State.EXPIRED)]
    assert (await get(database, telling.id)).state is State.TELLING


async def test_a_story_that_kills_its_bot_is_not_told_for_ever(database: Database) -> None:
    queue = queue_of(database, attempts=2)
    story = await queue.enqueue(wish())
    for _ in range(2):
        assert await queue.claim("killed") is not None
        await lapse(database, story.id)
    assert await queue.claim("alive") is None
    await queue.sweep()
    failed = await get(database, story.id)
    assert failed.state is State.FAILED
    assert failed.error


async def test_the_message_is_kept(database: Database, queue: Queue) -> None:
    story = await queue.enqueue(wish())
    await queue.posted(story.id, 77)
    assert (await get(database, story.id)).message_id == 77


async def test_a_story_given_to_another_model_waits_as_if_it_had_not_been_begun(
    database: Database, queue: Queue
) -> None:
    story = await queue.enqueue(wish(model="nosuch"))
    assert await queue.claim("bot")
    await queue.give_back(story.id, "another", text="", model="gpt2-starter")  # only the owner may
    assert (await get(database, story.id)).model == "nosuch"
    await queue.give_back(story.id, "bot", text="", model="gpt2-starter")
    given = await get(database, story.id)
    assert (given.model, given.state, given.attempts) == ("gpt2-starter", State.QUEUED, 0)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whoever_stands_first_is_taken_however_many_wait(
    database: Database, seed: int
) -> None:
    queue = queue_of(database, per_member=100, per_server=100)
    dice = random.Random(seed)
    told: list[int] = []
    for _ in range(60):
        what = dice.random()
        if what < 0.6:
            guild = dice.choice((None, 1, 2, 3, 4))
            member = dice.randrange(8)
            one = wish(member=member, guild_id=guild)
            more = [replace(one, seed=8, nth=1)] if dice.random() < 0.2 else []
            await queue.enqueue_together([one, *more])
        elif what < 0.85:
            places = await queue.positions()
            story = await queue.claim("bot")
            assert (story and places[story.id]) == (1 if places else None)
            if story is not None:
                told.append(story.id)
        elif told:
            ended = told.pop(dice.randrange(len(told)))
            await queue.fail(ended, "bot", "no")
    assert told
