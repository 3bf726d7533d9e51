"""A generator that is full, away or broken, or refuses: what becomes of the stories."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from bot.database.tables import State
from bot.worker.suspects import ALONE_AFTER
from tests.bot.teller import (
    STORY,
    Teller,
    aborting,
    answers,
    away,
    broken,
    closed,
    full,
    refusing,
    well,
)
from tests.bot.village import village

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

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


@pytest.mark.parametrize("turned_away", [closed, full, away])
async def test_a_story_that_alone_is_turned_away_holds_up_nobody(
    database: Database, turned_away: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> None:
    async def gateway(request: web.Request) -> web.StreamResponse:
        poison = "poison" in (await request.json())["prompt"]
        return await (turned_away if poison else well)(request)

    async with answers(gateway) as url, village(database, url, queue={"tellers": 1}) as place:
        poison = await place.ask(prompt="a poison")
        others = [await place.ask(member) for member in (2, 3)]
        await place.over(*others)
        assert (await place.get(poison)).state in {State.QUEUED, State.TELLING}


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


async def test_a_default_that_turns_out_to_be_nobodys_lets_another_tell(
    database: Database, tells: Teller
) -> None:
    tells.unknown = {"nosuch"}
    async with village(database, tells.url, stories={"model": "nosuch"}) as place:
        # Asked for before anybody knew which models there are.
        defaulted = await place.ask(model="nosuch")
        await place.over(defaulted)
        story = await place.get(defaulted)
    assert (story.state, story.model, story.attempts) == (State.TOLD, "gpt2-starter", 1)


async def test_a_model_that_somebody_chose_is_told_by_no_other(
    database: Database, tells: Teller
) -> None:
    tells.unknown = {"mine"}
    async with village(database, tells.url) as place:
        chosen = await place.ask(model="mine")
        await place.over(chosen)
        story = await place.get(chosen)
    assert (story.state, story.model) == (State.FAILED, "mine")


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


class Mortal:
    """A generator that dies of one prompt, and takes with it whatever it was telling."""

    def __init__(self, poison: str, company: int) -> None:
        self.poison = poison
        self.company = company
        """Stories that it tells together each time it dies, while they come together."""
        self.deaths: list[int] = []
        """How many stories were lost with each."""
        self._open: list[web.Request] = []
        self._changed = asyncio.Condition()

    async def complete(self, request: web.Request) -> web.StreamResponse:
        prompt = (await request.json())["prompt"]
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b'data: {"choices": [{"text": " Once"}]}\n\n')
        async with self._changed:
            deaths = len(self.deaths)
            self._open.append(request)
            self._changed.notify_all()
            if prompt == self.poison:
                company = self.company if deaths < ALONE_AFTER else 1
                await self._changed.wait_for(lambda: len(self._open) >= company)
                self._die()
            elif deaths < ALONE_AFTER:
                await self._changed.wait_for(lambda: len(self.deaths) > deaths)
            else:
                self._open.remove(request)
        await answer.write(b'data: {"choices": [{"text": " more.", "finish_reason": "stop"}]}\n\n')
        return answer

    def _die(self) -> None:
        self.deaths.append(len(self._open))
        for request in self._open:
            assert request.transport is not None
            request.transport.abort()
        self._open.clear()
        self._changed.notify_all()


async def test_a_story_that_kills_the_generator_costs_its_neighbours_no_attempt(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.database.queue.REST", 0.01)
    monkeypatch.setattr("bot.worker.suspects.REST", 0.05)
    mortal = Mortal("poison", company=5)
    async with (
        answers(mortal.complete) as url,
        village(database, url, queue={"tellers": 5, "attempts": 3}) as place,
    ):
        asked = [await place.ask(n, prompt=f"well {n}") for n in range(4)]
        poison = await place.ask(9, prompt="poison")
        await place.over(*asked, poison)
        stories = [await place.get(story_id) for story_id in asked]
        poisoned = await place.get(poison)
    assert [(story.state, story.attempts) for story in stories] == [(State.TOLD, 1)] * 4
    # It was told twice in company, and after that alone, until it had no further try.
    assert (poisoned.state, poisoned.attempts) == (State.FAILED, 3)
    assert mortal.deaths == [5, 5, 1, 1, 1]


async def test_others_are_told_while_a_suspect_rests(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.worker.suspects.REST", 0.05)
    mortal = Mortal("poison", company=2)
    async with (
        answers(mortal.complete) as url,
        village(database, url, queue={"tellers": 2, "attempts": 5}) as place,
    ):
        poison = await place.ask(9, prompt="poison")
        neighbour = await place.ask(1, prompt="well")
        await place.over(neighbour)
        # It has failed alone once by now, or will: its rest of a second holds nobody up.
        others = [await place.ask(n, prompt=f"well {n}") for n in range(2, 8)]
        await place.over(*others)
        assert (await place.get(poison)).state in {State.QUEUED, State.TELLING}
