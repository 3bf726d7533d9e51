"""The dispatcher from wish to last word: each story told once, and whole."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError

from bot.database.queue import Queue
from bot.database.tables import State, Story
from bot.worker import dispatcher
from tests.bot.rows import lapse
from tests.bot.teller import STORY, Teller
from tests.bot.village import LONG, PATIENCE, Village, WatchedQueue, village
from tests.bot.wishes import wish

if TYPE_CHECKING:
    import datetime as dt

    from bot.database import Database


async def lease(place: Village, story_id: int) -> dt.datetime:
    until = (await place.get(story_id)).lease_until
    assert until is not None
    return until


async def test_a_wish_is_told_word_by_word_saved_and_shown(
    database: Database, tells: Teller
) -> None:
    async with village(database, tells.url) as place:
        story_id = await place.ask()
        await place.over(story_id)
        story = await place.get(story_id)
    assert (story.state, story.text, story.tokens, story.attempts) == (State.TOLD, STORY, 3, 1)
    assert place.wall.shown[story_id][:2] == [" a fox", " a fox found the moon"]
    assert [(s.id, s.text) for s in place.wall.ended_] == [(story_id, STORY)]
    assert (story.lease_owner, story.lease_until) == (None, None)


async def test_no_more_are_told_at_once_than_there_are_tellers(
    database: Database, tells: Teller
) -> None:
    tells.hold()
    async with village(database, tells.url, queue={"tellers": 2}) as place:
        asked = [await place.ask() for _ in range(4)]
        await place.wall.until(lambda: place.wall.places[-1:] == [{asked[2]: 1, asked[3]: 2}])
        assert len(tells.asked) <= 2
        await tells.release()
        await place.over(*asked)
    assert [story.state for story in place.wall.ended_] == [State.TOLD] * 4


async def test_a_continuation_begins_from_the_end_of_what_it_continues(
    database: Database, tells: Teller
) -> None:
    async with village(database, tells.url, stories={"memory": 40}) as place:
        first = await place.ask(prompt="In the year")
        await place.over(first)
        second = await place.ask(prompt="", parent_id=first)
        await place.over(second)
        third = await place.ask(prompt="", parent_id=second)
        await place.over(third)
    whole = "In the year a fox found the moon."
    assert [asked["prompt"] for asked in tells.asked] == [
        "In the year",
        whole,
        # The last 40 characters of both parts, from a whole word on.
        "found the moon. a fox found the moon.",
    ]


async def test_a_continuation_that_broke_off_begins_again_from_what_it_continues(
    database: Database, tells: Teller
) -> None:
    async with village(database, tells.url) as place:
        first = await place.ask(prompt="In the year")
        await place.over(first)
        tells.hold(after=1)
        second = await place.ask(prompt="", parent_id=first)
        await place.wall.until(lambda: place.wall.shown[second])
        tells.go_away()
        await place.wall.until(lambda: ("broke off", second) in place.wall.happened)
        tells.away = False
        await tells.release()
        place.dispatcher.resume()
        await place.over(second)
    prompts = [asked["prompt"] for asked in tells.asked]
    assert prompts == ["In the year", *["In the year a fox found the moon."] * 2]


@pytest.mark.parametrize(
    ("beginning", "memory", "remembered"),
    [
        ("In the year", 0, ""),
        # No space in sight: nothing is dropped as half a word.
        ("むかしむかし" * 20, 80, ("むかしむかし" * 20)[-58:] + STORY),
    ],
    ids=["nothing", "no spaces"],
)
async def test_a_memory_may_be_nothing_and_text_may_have_no_spaces(
    database: Database, tells: Teller, beginning: str, memory: int, remembered: str
) -> None:
    async with village(database, tells.url, stories={"memory": memory}) as place:
        first = await place.ask(prompt=beginning)
        await place.over(first)
        await place.over(await place.ask(prompt="", parent_id=first))
    assert tells.asked[1]["prompt"] == remembered


async def test_a_cancelled_story_is_told_no_further(database: Database, tells: Teller) -> None:
    async with village(database, tells.url) as place:
        tells.hold(after=1)
        story_id = await place.ask()
        await place.wall.until(lambda: place.wall.shown[story_id])
        assert await place.queue.cancel(story_id, 1)
        place.bell.ring()
        await place.over(story_id)
        await tells.release()
        other = await place.ask()
        await place.over(other)
    assert place.wall.endings() == [(story_id, State.CANCELLED), (other, State.TOLD)]


async def test_a_bot_that_stops_gives_its_stories_back_at_once(
    database: Database, tells: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with village(database, tells.url) as place:
        tells.hold(after=1)
        asked = [await place.ask(member) for member in (1, 2)]
        await tells.wished(2)
        await place.wall.until(lambda: any(place.wall.shown.values()))
        with monkeypatch.context() as patched:
            patched.delattr(Queue, "give_back")  # not one by one: who comes waits for it
            await place.stop()
        for story_id in asked:
            story = await place.get(story_id)
            assert (story.state, story.attempts, story.lease_owner) == (State.QUEUED, 0, None)
            assert story.text == "".join(place.wall.shown[story_id][-1:])
        await tells.release()
        place.start(place.another())
        await place.over(*asked)
    assert sorted(place.wall.endings()) == [(story_id, State.TOLD) for story_id in asked]
    assert {place.wall.shown[story_id][-1] for story_id in asked} == {STORY}


async def test_what_was_told_but_not_shown_is_only_shown(database: Database, tells: Teller) -> None:
    async with village(database, tells.url) as place:
        await place.stop()
        story = await place.queue.enqueue(wish())
        await place.queue.claim("killed")
        await place.queue.told(story, "killed", " told before", 2)
        await place.queue.release_all()
        place.start(place.another())
        await place.over(story.id)
    assert [s.text for s in place.wall.ended_] == [" told before"]
    assert tells.asked == []


async def test_a_long_telling_keeps_its_lease(database: Database, tells: Teller) -> None:
    async with village(database, tells.url, queue={"lease": LONG}) as place:
        tells.hold(after=1)
        story_id = await place.ask()
        await place.wall.until(lambda: place.wall.shown[story_id])
        leases = [await lease(place, story_id)]
        for _ in range(4):
            await place.upkeep()
            leases.append(await lease(place, story_id))
        await tells.release()
        await place.over(story_id)
        assert (await place.get(story_id)).attempts == 1
    assert all(earlier < later for earlier, later in pairwise(leases))
    assert place.wall.endings() == [(story_id, State.TOLD)]
    assert len(tells.asked) == 1


async def test_a_telling_outlives_a_sleep_of_the_machine(database: Database, tells: Teller) -> None:
    async with village(database, tells.url, queue={"lease": LONG, "attempts": 1}) as place:
        tells.hold(after=1)
        story_id = await place.ask()
        await place.wall.until(lambda: place.wall.shown[story_id])
        await lapse(database, story_id)
        await place.upkeep()
        assert (await place.get(story_id)).state is State.TELLING
        await tells.release()
        await place.over(story_id)
    assert place.wall.endings() == [(story_id, State.TOLD)]


async def test_a_story_that_is_being_told_is_not_begun_again(
    database: Database, tells: Teller
) -> None:
    async with village(database, tells.url, queue={"lease": LONG}) as place:
        tells.hold(after=1)
        story_id = await place.ask()
        await place.wall.until(lambda: place.wall.shown[story_id])
        await lapse(database, story_id)
        other = await place.ask()  # so the dispatcher looks for more to tell, and renews nothing
        async with asyncio.timeout(PATIENCE):
            await tells.wished(2)
        await tells.release()
        await place.over(story_id, other)
        assert (await place.get(story_id)).attempts == 1
    assert sorted(place.wall.endings()) == [(story_id, State.TOLD), (other, State.TOLD)]
    assert len(tells.asked) == 2


async def test_an_ending_that_is_being_shown_is_not_shown_again(
    database: Database, tells: Teller
) -> None:
    async with village(database, tells.url, queue={"lease": LONG}) as place:
        tells.hold()
        story_id = await place.ask()
        place.wall.slow[story_id] = asyncio.Event()
        await tells.release()
        await place.wall.until(lambda: place.wall.finishing)
        await lapse(database, story_id)
        await place.over(await place.ask())
        place.wall.slow[story_id].set()
        await place.over(story_id)
    assert place.wall.finishing.count(story_id) == 1


async def test_no_story_is_begun_while_many_that_are_told_wait_to_be_shown(
    database: Database, tells: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "AHEAD", 1)
    async with village(database, tells.url) as place:
        tells.hold()
        first = await place.ask()
        edited = place.wall.slow[first] = asyncio.Event()
        await tells.release()
        await place.wall.until(lambda: place.wall.finishing)
        second = await place.ask()
        await place.upkeep()
        await place.upkeep()  # a round begins with it, and so the one before is over
        assert (await place.get(second)).state is State.QUEUED
        edited.set()
        await place.over(first, second)


async def test_a_story_called_off_during_its_last_edit_is_shown_as_called_off(
    database: Database, tells: Teller
) -> None:
    async with village(database, tells.url) as place:
        tells.hold()
        story_id = await place.ask()
        edited = place.wall.slow[story_id] = asyncio.Event()
        await tells.release()
        await place.wall.until(lambda: place.wall.finishing)
        assert await place.queue.cancel(story_id, 1, text=STORY)
        edited.set()
        await place.wall.until(lambda: (story_id, State.CANCELLED) in place.wall.endings())
    # A round of the dispatcher may see it first, and then lets no more of the other end out.
    assert place.wall.endings()[-1] == (story_id, State.CANCELLED)
    assert place.wall.finishing == [story_id, story_id]


async def test_two_bots_on_one_database_tell_each_story_once(
    database: Database, tells: Teller
) -> None:
    async with village(database, tells.url) as place:
        place.start(place.another())
        asked = [await place.ask(n % 3) for n in range(20)]
        await place.over(*asked)
    assert sorted(place.wall.endings()) == [(story_id, State.TOLD) for story_id in sorted(asked)]
    assert len(tells.asked) == 20


async def test_a_database_that_fails_for_a_moment_stops_nothing(
    database: Database, tells: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Flaky(WatchedQueue):
        failures = 1

        async def claim(self, owner: str, **options: Any) -> Story | None:
            if self.failures:
                self.failures -= 1
                raise OperationalError("UPDATE", {}, Exception("database is locked"))
            return await super().claim(owner, **options)

    monkeypatch.setattr("bot.worker.dispatcher.AFTER_A_FAILURE", 0.01)
    async with village(database, tells.url, Flaky) as place:
        await place.over(await place.ask())


@pytest.mark.parametrize("written", ["told", "shown"])
async def test_a_story_is_not_told_again_because_its_end_could_not_be_written(
    database: Database,
    tells: Teller,
    written: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures = iter(range(3))

    async def locked(self: WatchedQueue, *given: Any, **named: Any) -> Any:
        if next(failures, None) is not None:
            raise OperationalError("UPDATE", {}, Exception("database is locked"))
        return await getattr(WatchedQueue, written)(self, *given, **named)

    monkeypatch.setattr("bot.worker.dispatcher.AFTER_A_FAILURE", 0.01)
    locked_queue = type("Locked", (WatchedQueue,), {written: locked})
    async with village(database, tells.url, locked_queue) as place:
        story_id = await place.ask()
        await place.over(story_id)
        assert (await place.get(story_id)).attempts == 1
    assert len(tells.asked) == 1
    assert len(place.wall.endings()) == 1
    assert all(record.exc_info is None for record in caplog.records)


async def test_a_bot_stops_in_order_though_the_database_is_locked(
    database: Database, tells: Teller
) -> None:
    class Locked(WatchedQueue):
        async def release(self, *_: object) -> None:
            raise OperationalError("UPDATE", {}, Exception("database is locked"))

    async with village(database, tells.url, Locked) as place:
        tells.hold(after=1)
        story_id = await place.ask()
        await place.wall.until(lambda: place.wall.shown[story_id])
        (running,) = place._tasks
    assert running.cancelled()
