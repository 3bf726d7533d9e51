"""How much a member may ask for: caps, a pause between two wishes, a day's quota."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, select, update

from bot.config import Queue as QueueSettings
from bot.database.clock import now
from bot.database.limits import Limits, QueueFullError, Scope
from bot.database.tables import Asked, Form, Length, Story
from tests.bot.wishes import queue_of, wish

if TYPE_CHECKING:
    from bot.database import Database
    from bot.database.queue import Queue
    from bot.database.wishes import Wish

HOST = Limits.of(QueueSettings())


def duel(member: int = 1, **changes: Any) -> list[Wish]:
    """Two wishes of one interaction."""
    first = wish(member, form=Form.DUEL, **changes)
    return [first, replace(first, nth=1, model="lstm-starter", seed=8)]


async def asked(database: Database) -> dict[tuple[int, int], int]:
    """The ledger: member and server → count."""
    async with database.sessions() as session:
        rows = await session.scalars(select(Asked))
        return {(row.member_id, row.guild_id): row.count for row in rows}


async def test_all_that_a_wish_says_is_kept(queue: Queue) -> None:
    first = await queue.enqueue(wish())
    given: dict[str, Any] = {
        "mood": "wild",
        "length": Length.SAGA,
        "private": True,
        "language": "ja",
        "form": Form.VARIATION,
        "nth": 2,
        "parent_id": first.id,
    }
    story = await queue.enqueue(wish(**given))
    assert {name: getattr(story, name) for name in given} == given
    assert (first.part, story.part) == (1, 2)
    assert (await queue.enqueue(wish(parent_id=story.id))).part == 3


async def test_the_stories_of_one_interaction_are_saved_together_and_once(queue: Queue) -> None:
    wishes = duel()
    stories = await queue.enqueue_together(wishes)
    assert [(story.nth, story.model) for story in stories] == [
        (0, "gpt2-starter"),
        (1, "lstm-starter"),
    ]
    again = await asyncio.gather(*(queue.enqueue_together(wishes) for _ in range(4)))
    ids = [story.id for story in stories]
    assert [[story.id for story in each] for each in again] == [ids] * 4
    assert len(await queue.positions()) == 2


async def test_the_stories_of_one_interaction_count_once(database: Database, queue: Queue) -> None:
    limits = replace(HOST, per_member=2, daily=2)
    for _ in range(2):
        await queue.enqueue_together(duel(), limits)
    with pytest.raises(QueueFullError):
        await queue.enqueue(wish(), limits)
    assert await asked(database) == {(1, 10): 2}


async def test_of_stories_that_are_refused_none_is_saved_or_counted(
    database: Database, queue: Queue
) -> None:
    limits = replace(HOST, per_member=1)
    await queue.enqueue(wish(), limits)
    with pytest.raises(QueueFullError):
        await queue.enqueue_together(duel(), limits)
    assert len(await queue.positions()) == 1
    assert await asked(database) == {(1, 10): 1}


async def test_a_second_delivery_is_not_counted(database: Database, queue: Queue) -> None:
    wishes, limits = duel(), replace(HOST, daily=1, cooldown=60.0)
    first = await queue.enqueue_together(wishes, limits)
    again = await queue.enqueue_together(wishes, limits)
    assert [story.id for story in again] == [story.id for story in first]
    assert await asked(database) == {(1, 10): 1}


async def test_a_pause_between_two_wishes_says_when_it_is_over(
    database: Database, queue: Queue
) -> None:
    limits = replace(HOST, cooldown=60.0)
    story = await queue.enqueue(wish(), limits)
    with pytest.raises(QueueFullError) as refused:
        await queue.enqueue(wish(), limits)
    assert (refused.value.scope, refused.value.limit) == (Scope.COOLDOWN, 60.0)
    assert refused.value.back_at == story.asked_at + dt.timedelta(seconds=60)
    # It is the member's own, in that server.
    await queue.enqueue(wish(member=2), limits)
    await queue.enqueue(wish(guild_id=None), limits)
    # A wish that was refused begins no new pause; and midnight ends none.
    async with database.sessions.begin() as session:
        day = now().date() - dt.timedelta(days=1)
        await session.execute(update(Asked).values(day=day))
    with pytest.raises(QueueFullError):
        await queue.enqueue(wish(), limits)
    async with database.sessions.begin() as session:
        await session.execute(update(Asked).values(last_at=now() - dt.timedelta(seconds=61)))
    await queue.enqueue(wish(), limits)


async def test_what_was_asked_under_a_clock_that_was_ahead_keeps_nobody_waiting(
    database: Database, queue: Queue
) -> None:
    ahead, guild_id = now() + dt.timedelta(days=3), wish().guild_id
    async with database.sessions.begin() as session:
        session.add(Asked(member_id=1, guild_id=guild_id, day=ahead.date(), count=9, last_at=ahead))
    await queue.enqueue(wish(), replace(HOST, cooldown=60.0, daily=1))
    with pytest.raises(QueueFullError) as refused:  # today's own count still holds
        await queue.enqueue(wish(), replace(HOST, daily=1))
    assert refused.value.scope is Scope.DAILY


async def test_a_days_quota_is_not_refilled_by_deleting(database: Database, queue: Queue) -> None:
    limits = replace(HOST, daily=2)
    for _ in range(2):
        await queue.enqueue(wish(), limits)
    async with database.sessions.begin() as session:
        await session.execute(delete(Story))
    with pytest.raises(QueueFullError) as refused:
        await queue.enqueue(wish(), limits)
    assert refused.value.scope is Scope.DAILY
    assert refused.value.back_at.time() == dt.time()
    assert now() < refused.value.back_at <= now() + dt.timedelta(days=1)
    # Tomorrow is another day, and another server another quota.
    await queue.enqueue(wish(guild_id=11), limits)
    async with database.sessions.begin() as session:
        await session.execute(update(Asked).values(day=now().date() - dt.timedelta(days=1)))
    await queue.enqueue(wish(), limits)


async def test_a_quota_holds_when_many_ask_at_once(database: Database) -> None:
    queue, limits = queue_of(database), replace(HOST, per_member=100, daily=3)
    answers = await asyncio.gather(
        *(queue.enqueue(wish(), limits) for _ in range(10)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, QueueFullError)]
    assert [error.scope for error in refused] == [Scope.DAILY] * 7
    assert await asked(database) == {(1, 10): 3}


@pytest.mark.parametrize("scope", [Scope.MEMBER, Scope.SERVER, Scope.ALL])
async def test_a_full_queue_says_when_to_come_back(queue: Queue, scope: Scope) -> None:
    caps = {Scope.MEMBER: "per_member", Scope.SERVER: "per_server", Scope.ALL: "waiting"}
    limits = replace(HOST, **{caps[scope]: 1})
    await queue.enqueue(wish(), limits)
    with pytest.raises(QueueFullError) as refused:
        await queue.enqueue(wish(), limits)
    assert refused.value.scope is scope
    assert now() < refused.value.back_at < now() + dt.timedelta(minutes=5)


async def test_who_is_gone_takes_no_room_though_an_old_wish_waits_still(queue: Queue) -> None:
    limits = replace(HOST, waiting=2)
    await queue.enqueue(wish(1), limits)
    for member in range(2, 6):
        gone = await queue.enqueue(wish(member), limits)
        await queue.cancel(gone.id, member)
    await queue.enqueue(wish(6), limits)
    with pytest.raises(QueueFullError) as refused:
        await queue.enqueue(wish(7), limits)
    assert (refused.value.scope, refused.value.limit) == (Scope.ALL, 2)


async def in_order(queue: Queue) -> list[int]:
    places = await queue.positions()
    return sorted(places, key=places.__getitem__)


async def test_a_busy_server_does_not_keep_another_waiting(queue: Queue) -> None:
    busy = [await queue.enqueue(wish(member=n, guild_id=10)) for n in range(1, 7)]
    quiet = [await queue.enqueue(wish(member=n, guild_id=11)) for n in (20, 21)]
    alone = await queue.enqueue(wish(member=30, guild_id=None))
    another = await queue.enqueue(wish(member=31, guild_id=None))
    first, second = busy[0].id, busy[1].id
    # One of each server; private messages are a server of their member's own.
    expected = [first, quiet[0].id, alone.id, another.id, second, quiet[1].id]
    assert await in_order(queue) == [*expected, *(story.id for story in busy[2:])]


async def test_what_is_being_told_is_a_servers_turn(queue: Queue) -> None:
    busy = [await queue.enqueue(wish(member=n, guild_id=10)) for n in range(1, 4)]
    for _ in range(2):
        assert await queue.claim("bot") is not None
    late = await queue.enqueue(wish(member=9, guild_id=11))
    assert await in_order(queue) == [late.id, busy[2].id]


async def test_in_a_server_the_members_take_turns(queue: Queue) -> None:
    greedy = [await queue.enqueue(wish(member=1, guild_id=10)) for _ in range(2)]
    modest = await queue.enqueue(wish(member=2, guild_id=10))
    # Nor does it help to ask in several servers.
    elsewhere = await queue.enqueue(wish(member=1, guild_id=11))
    there = await queue.enqueue(wish(member=3, guild_id=11))
    order = await in_order(queue)
    assert order.index(modest.id) < order.index(greedy[1].id)
    assert order.index(there.id) < order.index(elsewhere.id)


async def test_the_stories_of_one_interaction_are_one_turn_and_told_together(
    queue: Queue,
) -> None:
    a, b = await queue.enqueue_together(duel(member=1))
    other = await queue.enqueue(wish(member=2))
    second = await queue.enqueue(wish(member=1))
    assert await in_order(queue) == [a.id, b.id, other.id, second.id]
    claimed = await queue.claim("bot")
    assert claimed is not None
    assert await in_order(queue) == [b.id, other.id, second.id]
