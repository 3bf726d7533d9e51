"""How a story ended is shown, once and by one bot, however long that takes."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

from bot.database import open_database
from bot.database.clock import now
from bot.database.tables import State
from tests.bot.rows import change, get, lapse
from tests.bot.wishes import queue_of, wish

if TYPE_CHECKING:
    from bot.database import Database
    from bot.database.queue import Queue


async def test_an_ending_is_shown_by_its_owner_until_the_lease_runs_out(
    database: Database, queue: Queue
) -> None:
    story = await queue.enqueue(wish())
    await queue.claim("bot")
    await queue.told(story, "bot", "text", 1)
    assert await queue.unshown("another", 10) == []
    await lapse(database, story.id)
    assert [again.id for again in await queue.unshown("another", 10)] == [story.id]
    assert await queue.unshown("third", 10) == []
    await queue.shown(story.id, State.TOLD)
    await lapse(database, story.id)
    assert await queue.unshown("another", 10) == []


async def test_many_bots_take_every_unshown_ending_once(
    database: Database, database_url: str
) -> None:
    queue = queue_of(database, per_member=100)
    for _ in range(20):
        story = await queue.enqueue(wish())
        await queue.cancel(story.id, 1)
    taken: list[int] = []

    async def bot(name: str) -> None:
        async with open_database(database_url) as mine:
            while stories := await queue_of(mine).unshown(name, 3):
                taken.extend(story.id for story in stories)

    await asyncio.gather(*(bot(f"bot {n}") for n in range(3)))
    assert len(taken) == len(set(taken)) == 20


async def test_an_ending_that_cannot_be_shown_rests_and_comes_again(
    database: Database, queue: Queue
) -> None:
    story = await queue.enqueue(wish())
    await queue.cancel(story.id, 1)
    await queue.unshown("bot", 10)
    await queue.postpone(story.id, "bot")
    assert await queue.unshown("bot", 10) == []
    await lapse(database, story.id)
    assert [again.id for again in await queue.unshown("bot", 10)] == [story.id]


async def test_an_ending_that_can_never_be_shown_is_left_in_peace(
    database: Database, queue: Queue
) -> None:
    story = await queue.enqueue(wish())
    await queue.cancel(story.id, 1)
    await change(database, story.id, ended_at=now() - dt.timedelta(days=30, seconds=1))
    await queue.sweep()
    assert await queue.unshown("bot", 10) == []


async def test_after_days_off_what_ended_unseen_is_still_said(
    database: Database, queue: Queue
) -> None:
    cancelled, waited = [await queue.enqueue(wish(member)) for member in (1, 2)]
    await queue.cancel(cancelled.id, 1)
    for story in (cancelled, waited):
        await change(database, story.id, asked_at=now() - dt.timedelta(days=3))
    await change(database, cancelled.id, ended_at=now() - dt.timedelta(days=29))
    await queue.sweep()
    assert [story.id for story in await queue.unshown("bot", 10)] == [cancelled.id, waited.id]


async def test_an_ending_has_its_moment(database: Database, queue: Queue) -> None:
    told, failed, cancelled, abandoned, expired = [
        await queue.enqueue(wish(member)) for member in range(5)
    ]
    for _ in range(4):
        assert await queue.claim("bot") is not None
    await queue.told(told, "bot", "text", 1)
    await queue.fail(failed.id, "bot", "no")
    await queue.cancel(cancelled.id, 2)
    assert (await get(database, abandoned.id)).ended_at is None
    await queue.abandon(abandoned.id, "bot", "the channel is gone")
    await change(database, expired.id, asked_at=now() - dt.timedelta(days=2))
    await queue.sweep()
    for story in (told, failed, cancelled, abandoned, expired):
        ended_at = (await get(database, story.id)).ended_at
        assert ended_at is not None
        assert now() - ended_at < dt.timedelta(minutes=1)
    ended_at = (await get(database, told.id)).ended_at
    await queue.abandon(told.id, "bot", "the channel is gone")
    assert (await get(database, told.id)).ended_at == ended_at


async def test_a_token_is_kept_until_its_story_is_shown_and_no_longer(
    database: Database, queue: Queue
) -> None:
    shown, abandoned, old = [
        await queue.enqueue(wish(member, answer_token=f"secret {member}")) for member in range(3)
    ]
    assert "secret" not in repr(wish(answer_token="secret"))
    await queue.claim("bot")
    await queue.claim("bot")
    await queue.told(shown, "bot", "text", 1)
    assert (await get(database, shown.id)).answer_token == "secret 0"
    await queue.shown(shown.id, State.TOLD)
    await queue.abandon(abandoned.id, "bot", "the channel is gone")
    await queue.sweep()
    assert (await get(database, old.id)).answer_token == "secret 2"
    await change(database, old.id, answer_until=now())
    await queue.sweep()
    for story in (shown, abandoned, old):
        saved = await get(database, story.id)
        assert (saved.answer_token, saved.answer_until) == (None, None)


async def test_a_newer_token_replaces_the_older_while_the_story_is_not_shown(
    database: Database, queue: Queue
) -> None:
    story = await queue.enqueue(wish(answer_token="first"))
    await queue.answerable(story.id, "second")
    saved = await get(database, story.id)
    assert saved.answer_token == "second"
    assert saved.answer_until is not None
    assert now() < saved.answer_until <= now() + dt.timedelta(minutes=15)
    await queue.shown(story.id, State.QUEUED)
    await queue.answerable(story.id, "third")
    assert (await get(database, story.id)).answer_token is None


async def test_a_told_story_is_called_off_only_where_its_words_are_still_being_shown(
    queue: Queue,
) -> None:
    story = await queue.enqueue(wish())
    await queue.claim("bot")
    await queue.told(story, "bot", " one two three", 3)
    assert await queue.cancel(story.id, 1) is None
    ended = await queue.cancel(story.id, 1, text=" one two")
    assert ended is not None
    assert (ended.state, ended.text) == (State.CANCELLED, " one two")
    # An edit that was under way shows the whole story; that is not how it ended.
    await queue.shown(story.id, State.TOLD)
    assert [again.id for again in await queue.unshown("bot", 10)] == [story.id]
    await queue.shown(story.id, State.CANCELLED)
    assert await queue.cancel(story.id, 1, text=" one") is None
