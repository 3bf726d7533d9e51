"""A generator that is full, away or broken, or refuses: what becomes of the stories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.database.tables import State
from tests.bot.teller import (
    STORY,
    Teller,
    aborting,
    answers,
    broken,
    closed,
    full,
    refusing,
    well,
)
from tests.bot.village import village

if TYPE_CHECKING:
    import pytest
    from aiohttp import web

    from bot.database import Database


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
    monkeypatch.setattr("bot.database.queue.REST", 0.01)
    async with answers(broken, broken, well) as url, village(database, url) as place:
        story_id = await place.ask()
        await place.over(story_id)
        story = await place.get(story_id)
    assert (story.state, story.attempts, story.error) == (State.TOLD, 3, None)


async def test_a_story_that_the_server_aborted_is_never_kept_as_whole(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.database.queue.REST", 0.01)
    async with answers(aborting, well) as url, village(database, url) as place:
        story_id = await place.ask()
        await place.over(story_id)
        story = await place.get(story_id)
    assert (story.state, story.text, story.attempts) == (State.TOLD, STORY, 2)


async def test_a_wrong_key_costs_a_story_no_attempt(database: Database) -> None:
    async with answers(closed, well) as url, village(database, url) as place:
        story_id = await place.ask()
        await place.over(story_id)
        story = await place.get(story_id)
    assert (story.state, story.attempts) == (State.TOLD, 1)


async def test_after_the_last_attempt_the_member_hears_of_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.database.queue.REST", 0.01)
    async with (
        answers(broken) as url,
        village(database, url, queue={"attempts": 2}) as place,
    ):
        story_id = await place.ask()
        await place.over(story_id)
        story = await place.get(story_id)
    assert place.wall.endings() == [(story_id, State.FAILED)]
    assert (story.attempts, "500" in str(story.error)) == (2, True)


async def test_a_model_that_tells_nothing_has_failed(database: Database, tells: Teller) -> None:
    tells.pieces = [" ", "\n"]
    async with village(database, tells.url, queue={"attempts": 1}) as place:
        story_id = await place.ask()
        await place.over(story_id)
    assert place.wall.endings() == [(story_id, State.FAILED)]
