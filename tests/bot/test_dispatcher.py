"""The dispatcher with a real queue, a real generator's API and a stage that remembers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy.exc import OperationalError

from bot.completions import Completions
from bot.config import Settings
from bot.database.stories import Stories
from bot.database.tables import State, Story
from bot.dispatcher import Dispatcher
from bot.queue import Queue
from bot.stage import StageGoneError
from tests.bot.teller import Teller, teller
from tests.bot.wishes import wish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from bot.database import Database

PATIENCE = 20.0
STORY = " a fox found the moon."


@dataclass
class Wall:
    """A stage that remembers what stood on it, and may be told to break."""

    shown: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    ended: list[Story] = field(default_factory=list)
    places: list[dict[int, int]] = field(default_factory=list)
    broken: dict[int, Exception] = field(default_factory=dict)
    """Story id → what its next `finish` raises."""
    torn: dict[int, Exception] = field(default_factory=dict)
    """Story id → what every `show` raises."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def telling(self, story: Story) -> Sheet:
        return Sheet(self, story.id)

    def waiting(self, positions: Mapping[int, int]) -> None:
        self.places.append(dict(positions))
        self.changed.set()

    async def until(self, found: Callable[[], object]) -> None:
        """Wait until something holds; looked at again whenever the wall changes."""
        async with asyncio.timeout(PATIENCE):
            while not found():
                self.changed.clear()
                await self.changed.wait()

    def endings(self) -> list[tuple[int, State]]:
        return [(story.id, story.state) for story in self.ended]


@dataclass
class Sheet:
    wall: Wall
    story_id: int

    def show(self, text: str) -> None:
        if error := self.wall.torn.get(self.story_id):
            raise error
        self.wall.shown[self.story_id].append(text)
        self.wall.changed.set()

    async def finish(self, story: Story) -> None:
        self.wall.changed.set()
        if error := self.wall.broken.pop(self.story_id, None):
            raise error
        self.wall.ended.append(story)


class WatchedQueue(Queue):
    """A queue that can be waited for."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._shown: set[int] = set()
        self._changed = asyncio.Condition()

    async def shown(self, story_id: int) -> None:
        await super().shown(story_id)
        async with self._changed:
            self._shown.add(story_id)
            self._changed.notify_all()

    async def known(self, story_ids: tuple[int, ...]) -> None:
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: self._shown >= set(story_ids))


@dataclass
class Village:
    """A dispatcher at work, and everything around it."""

    queue: WatchedQueue
    stories: Stories
    completions: Completions
    wall: Wall
    dispatcher: Dispatcher
    settings: Settings
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self, dispatcher: Dispatcher | None = None) -> None:
        self._tasks.append(asyncio.create_task((dispatcher or self.dispatcher).run()))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        self._tasks.clear()

    def another(self) -> Dispatcher:
        return Dispatcher(self.queue, self.stories, self.completions, self.wall, self.settings)

    async def ask(self, member: int = 1, **changes: Any) -> int:
        story = await self.queue.enqueue(wish(member, **changes))
        self.dispatcher.wake()
        return story.id

    async def get(self, story_id: int) -> Story:
        story = await self.stories.get(story_id)
        assert story is not None
        return story

    async def over(self, *story_ids: int) -> None:
        """Wait until these stories' last word was shown, and the queue knows it."""
        await self.wall.until(lambda: {s.id for s in self.wall.ended} >= set(story_ids))
        await self.queue.known(story_ids)


@asynccontextmanager
async def village(
    database: Database,
    url: str | None,
    queue_type: type[WatchedQueue] = WatchedQueue,
    **settings: Any,
) -> AsyncIterator[Village]:
    queue_settings = {"per_member": 100, **settings.pop("queue", {})}
    loaded = Settings(queue=queue_settings, **settings)
    queue, stories = queue_type(database.sessions, loaded.queue), Stories(database.sessions)
    wall = Wall()
    async with Completions(url, loaded.stories, request_timeout=10) as completions:
        dispatcher = Dispatcher(queue, stories, completions, wall, loaded)
        place = Village(queue, stories, completions, wall, dispatcher, loaded)
        place.start()
        yield place
        await place.stop()


@pytest.fixture
async def tells() -> AsyncIterator[Teller]:
    async with teller() as told:
        yield told


@asynccontextmanager
async def answers(*handlers: Any) -> AsyncIterator[str]:
    """A generator that answers with one handler after the other, then always with the last."""
    left = list(handlers)

    async def handler(request: web.Request) -> web.StreamResponse:
        answer: web.StreamResponse = await (left.pop(0) if len(left) > 1 else left[0])(request)
        return answer

    app = web.Application()
    app.router.add_post("/v1/completions", handler)
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url(""))


async def well(request: web.Request) -> web.StreamResponse:
    return await Teller().complete(request)


async def full(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=429, headers={"Retry-After": "0.1"})


async def broken(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=500)


async def refusing(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"message": "No such model."}}, status=404)


async def test_a_wish_is_told_word_by_word_saved_and_shown(
    database: Database, tells: Teller
) -> None:
    async with village(database, tells.url) as place:
        story_id = await place.ask()
        await place.over(story_id)
        story = await place.get(story_id)
    assert (story.state, story.text, story.tokens, story.attempts) == (State.TOLD, STORY, 3, 1)
    assert place.wall.shown[story_id][:2] == [" a fox", " a fox found the moon"]
    assert [(s.id, s.text) for s in place.wall.ended] == [(story_id, STORY)]
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
    assert [story.state for story in place.wall.ended] == [State.TOLD] * 4


async def test_a_full_generator_is_waited_for_without_using_up_attempts(
    database: Database,
) -> None:
    async with answers(full, full, full, well) as url, village(database, url) as place:
        story_id = await place.ask()
        await place.over(story_id)
        assert (await place.get(story_id)).attempts == 1


async def test_while_the_generator_is_down_stories_keep_their_place(
    database: Database, tells: Teller
) -> None:
    async with village(database, None) as place:
        first, second = [await place.ask(member) for member in (1, 2)]
        await place.wall.until(lambda: place.wall.places[-1:] == [{first: 1, second: 2}])
        assert not place.wall.shown
        place.completions.url = tells.url
        place.dispatcher.resume()
        await place.over(first, second)
        assert [(await place.get(i)).attempts for i in (first, second)] == [1, 1]


async def test_a_model_that_rests_does_not_hold_up_the_others(database: Database) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        model = (await request.json())["model"]
        return await (full if model == "lstm-starter" else well)(request)

    async with answers(half) as url, village(database, url, queue={"tellers": 1}) as place:
        resting = await place.ask(model="lstm-starter")
        told = await place.ask()
        await place.over(told)
        assert (await place.get(resting)).state in {State.QUEUED, State.TELLING}


async def test_a_refused_story_fails_at_once_and_the_others_are_told(database: Database) -> None:
    async with answers(refusing, well) as url, village(database, url) as place:
        refused = await place.ask()
        await place.over(refused)
        told = await place.ask()
        await place.over(told)
        story = await place.get(refused)
    assert place.wall.endings() == [(refused, State.FAILED), (told, State.TOLD)]
    assert story.error is not None
    assert "No such model." in story.error


async def test_a_broken_attempt_is_followed_by_another(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.queue.REST", 0.01)
    async with answers(broken, broken, well) as url, village(database, url) as place:
        story_id = await place.ask()
        await place.over(story_id)
        story = await place.get(story_id)
    assert (story.state, story.attempts, story.error) == (State.TOLD, 3, None)


async def test_after_the_last_attempt_the_member_hears_of_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.queue.REST", 0.01)
    async with (
        answers(broken) as url,
        village(database, url, queue={"attempts": 2}) as place,
    ):
        story_id = await place.ask()
        await place.over(story_id)
        story = await place.get(story_id)
    assert place.wall.endings() == [(story_id, State.FAILED)]
    assert (story.attempts, "500" in str(story.error)) == (2, True)


async def test_a_story_whose_message_is_gone_is_saved_but_not_shown_for_ever(
    database: Database, tells: Teller
) -> None:
    async with village(database, tells.url) as place:
        tells.hold()
        gone = await place.ask()
        place.wall.broken[gone] = StageGoneError("deleted")
        await tells.release()
        other = await place.ask()
        await place.over(other)
        await place.stop()
        place.start(place.another())
        last = await place.queue.enqueue(wish())
        await place.over(last.id)
        story = await place.get(gone)
    assert (story.state, story.text, story.shown_at is None) == (State.TOLD, STORY, False)
    assert gone not in dict(place.wall.endings())


async def test_a_channel_that_goes_away_frees_the_generator(database: Database) -> None:
    left = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b'data: {"choices": [{"text": " on"}]}\n\n')
                await asyncio.sleep(0)
        finally:
            left.set()

    async with answers(endless, well) as url, village(database, url) as place:
        gone = await place.ask()
        place.wall.torn[gone] = StageGoneError("deleted")
        async with asyncio.timeout(PATIENCE):
            await left.wait()
        other = await place.ask()
        await place.over(other)
        story = await place.get(gone)
    assert (story.state, story.shown_at is None) == (State.CANCELLED, False)


async def test_a_cancelled_story_is_told_no_further(database: Database, tells: Teller) -> None:
    async with village(database, tells.url) as place:
        tells.hold(after=1)
        story_id = await place.ask()
        await place.wall.until(lambda: place.wall.shown[story_id])
        assert await place.queue.cancel(story_id, 1)
        place.dispatcher.wake()
        await place.over(story_id)
        await tells.release()
        other = await place.ask()
        await place.over(other)
    assert place.wall.endings() == [(story_id, State.CANCELLED), (other, State.TOLD)]


async def test_what_discord_did_not_take_is_shown_again_later(
    database: Database, tells: Teller, caplog: pytest.LogCaptureFixture
) -> None:
    async with village(database, tells.url, queue={"lease": 1}) as place:
        tells.hold()
        story_id = await place.ask()
        place.wall.broken[story_id] = OSError("Discord is away")
        await tells.release()
        await place.over(story_id)
    assert place.wall.endings() == [(story_id, State.TOLD)]
    assert "cannot be shown" in caplog.text


async def test_a_fault_in_one_telling_stops_no_other(
    database: Database, tells: Teller, caplog: pytest.LogCaptureFixture
) -> None:
    async with village(database, tells.url, queue={"lease": 1, "attempts": 1}) as place:
        tells.hold()
        faulty = await place.ask()
        place.wall.torn[faulty] = ZeroDivisionError("a fault of ours")
        well = await place.ask()
        await tells.release()
        await place.over(well)
        # Its lease runs out, and it is not begun for ever.
        await place.over(faulty)
    assert dict(place.wall.endings()) == {well: State.TOLD, faulty: State.FAILED}
    assert "a fault of ours" in caplog.text


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

    monkeypatch.setattr("bot.dispatcher.AFTER_A_FAILURE", 0.01)
    async with village(database, tells.url, Flaky) as place:
        await place.over(await place.ask())


async def test_a_bot_that_stops_gives_its_stories_back_at_once(
    database: Database, tells: Teller
) -> None:
    async with village(database, tells.url) as place:
        tells.hold(after=1)
        story_id = await place.ask()
        await place.wall.until(lambda: place.wall.shown[story_id])
        await place.stop()
        story = await place.get(story_id)
        assert (story.state, story.attempts, story.lease_owner) == (State.QUEUED, 0, None)
        await tells.release()
        place.start(place.another())
        await place.over(story_id)
    assert place.wall.endings() == [(story_id, State.TOLD)]
    assert place.wall.shown[story_id][-1] == STORY


async def test_what_was_told_but_not_shown_is_only_shown(database: Database, tells: Teller) -> None:
    async with village(database, tells.url) as place:
        await place.stop()
        story = await place.queue.enqueue(wish())
        await place.queue.claim("killed")
        await place.queue.told(story.id, "killed", " told before", 2)
        await place.queue.release_all()
        place.start(place.another())
        await place.over(story.id)
    assert [s.text for s in place.wall.ended] == [" told before"]
    assert tells.asked == []


async def test_a_long_telling_keeps_its_lease(database: Database, tells: Teller) -> None:
    class Patient(WatchedQueue):
        renewals = 0
        enough = asyncio.Event()

        async def renew(self, owner: str, story_ids: Any) -> set[int]:
            kept = await super().renew(owner, story_ids)
            self.renewals += 1
            if self.renewals == 4:
                self.enough.set()
            return kept

    async with village(database, tells.url, Patient, queue={"lease": 1}) as place:
        tells.hold(after=1)
        place.start(place.another())
        story_id = await place.ask()
        async with asyncio.timeout(PATIENCE):
            await Patient.enough.wait()
        await tells.release()
        await place.over(story_id)
        assert (await place.get(story_id)).attempts == 1
    assert place.wall.endings() == [(story_id, State.TOLD)]
    assert len(tells.asked) == 1


async def test_two_bots_on_one_database_tell_each_story_once(
    database: Database, tells: Teller
) -> None:
    async with village(database, tells.url) as place:
        place.start(place.another())
        asked = [await place.ask(n % 3) for n in range(20)]
        await place.over(*asked)
    assert sorted(place.wall.endings()) == [(story_id, State.TOLD) for story_id in sorted(asked)]
    assert len(tells.asked) == 20


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


async def test_a_model_that_tells_nothing_has_failed(database: Database, tells: Teller) -> None:
    tells.pieces = [" ", "\n"]
    async with village(database, tells.url, queue={"attempts": 1}) as place:
        story_id = await place.ask()
        await place.over(story_id)
    assert place.wall.endings() == [(story_id, State.FAILED)]
