"""A presenter that fails, or whose channel goes away, and the stories that it was showing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from bot.database.tables import State
from bot.worker.presenter import MessageGoneError, OutOfReachError
from tests.bot.rows import lapse
from tests.bot.teller import STORY, Teller, answers, well
from tests.bot.village import LONG, PATIENCE, village
from tests.bot.wishes import wish

if TYPE_CHECKING:
    import pytest

    from bot.database import Database


async def test_a_story_whose_message_is_gone_is_saved_but_not_shown_for_ever(
    database: Database, tells: Teller
) -> None:
    async with village(database, tells.url) as place:
        tells.hold()
        gone = await place.ask()
        place.wall.broken[gone] = MessageGoneError("deleted")
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
        place.wall.torn[gone] = MessageGoneError("deleted")
        async with asyncio.timeout(PATIENCE):
            await left.wait()
        other = await place.ask()
        await place.over(other)
        story = await place.get(gone)
    assert (story.state, story.shown_at is None) == (State.CANCELLED, False)


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


async def test_an_end_that_is_refused_for_now_rests_and_leaves_no_traceback(
    database: Database, tells: Teller, caplog: pytest.LogCaptureFixture
) -> None:
    async with village(database, tells.url, queue={"lease": LONG}) as place:
        tells.hold()
        archived = await place.ask()
        place.wall.broken[archived] = OutOfReachError("Thread is archived")
        await tells.release()
        await place.wall.until(lambda: place.wall.finishing)
        if task := place.dispatcher._tellings.get(archived):
            await asyncio.wait([task])
        # Even when its row is free again: it rests longer each time, and only this bot knows.
        await lapse(database, archived)
        await place.upkeep()
        await place.over(await place.ask())
        assert place.wall.finishing.count(archived) == 1
    (line,) = [record for record in caplog.records if "cannot be shown" in record.message]
    assert line.exc_info is None


async def test_a_fault_in_one_telling_stops_no_other(
    database: Database, tells: Teller, caplog: pytest.LogCaptureFixture
) -> None:
    async with village(database, tells.url, queue={"lease": LONG, "attempts": 1}) as place:
        tells.hold()
        faulty = await place.ask()
        place.wall.torn[faulty] = ZeroDivisionError("a fault of ours")
        well = await place.ask()
        await tells.release()
        await place.over(well)
        if task := place.dispatcher._tellings.get(faulty):
            await asyncio.wait([task])
        # Its lease runs out, and it is not begun for ever.
        await lapse(database, faulty)
        await place.upkeep()
        await place.over(faulty)
    assert dict(place.wall.endings()) == {well: State.TOLD, faulty: State.FAILED}
    assert "a fault of ours" in caplog.text
