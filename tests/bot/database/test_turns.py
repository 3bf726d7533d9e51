"""Whose turn it is, as the rows keep it, is what one finds who looks at all that wait."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from bot.bench.rows import fill
from bot.bench.steps import Bench, steps
from bot.database.clock import now
from bot.database.departures import Departures
from bot.database.limits import QueueFullError
from bot.database.privacy import Privacy
from bot.database.removals import Removals
from bot.database.tables import Length, State, Story
from tests.bot.database.in_turn import expected, kept
from tests.bot.rows import change, get, lapse
from tests.bot.wishes import queue_of, wish

if TYPE_CHECKING:
    from bot.database import Database

ROOM = {"per_member": 100, "per_server": 1000, "attempts": 3}
SERVERS = (None, 1, 2, 3, 4)


class Chance:
    """Whatever moves somebody, at random."""

    def __init__(self, database: Database, seed: int) -> None:
        self.queue = queue_of(database, **ROOM)
        self._database = database
        self._dice = random.Random(seed)
        self._telling: list[Story] = []

    async def act(self) -> str:
        """Do something; gives what it was."""
        acts = [self._ask, self._claim, self._finish, self._go_back, self._withdraw, self._clear]
        (act,) = self._dice.choices(acts, [8, 6, 3, 2, 1, 0.5])
        await act()
        return act.__name__

    async def _ask(self) -> None:
        length, model = self._dice.choice((Length.SHORT, Length.SAGA)), self._dice.choice("xy")
        guild, member = self._dice.choice(SERVERS), self._dice.randrange(1, 6)
        one = wish(member, guild_id=guild, length=length, model=model)
        await self.queue.enqueue_together([one, replace(one, nth=1)][: self._dice.randint(1, 2)])

    async def _claim(self) -> None:
        resting = {self._dice.choice("xy")} if self._dice.random() < 0.3 else set()
        places, moment = await expected(self._database), now()
        story = await self.queue.claim("bot", resting=resting)
        for story_id in places[: places.index(story.id)] if story else places:
            passed = await get(self._database, story_id)
            rests = passed.lease_until is not None and passed.lease_until > moment
            assert rests or passed.model in resting or passed.attempts >= ROOM["attempts"]
        self._telling += [story] if story else []

    async def _finish(self) -> None:
        if story := self._some():
            await self.queue.told(story, "bot", "text", 1)
            if self._dice.random() < 0.8:
                await self.queue.shown(story.id, State.TOLD)  # and a saga goes on

    async def _go_back(self) -> None:
        if (story := self._some()) is None:
            return
        match self._dice.randrange(6):
            case 0:
                await self.queue.retry(story, "bot", "no")
            case 1:
                await self.queue.give_back(story.id, "bot", text="", model="y")
            case 2:
                await self.queue.draw_anew(story.id, "bot", text="")
            case 3:
                await self.queue.release("bot", [story.id, *(s.id for s in self._telling)])
                self._telling.clear()
            case 4:
                await self.queue.abandon(story.id, "bot", "gone")
            case 5:
                await lapse(self._database, story.id)

    async def _withdraw(self) -> None:
        if places := await expected(self._database):
            story = await get(self._database, self._dice.choice(places))
            if self._dice.random() < 0.5:
                await self.queue.cancel(story.id, story.member_id)
            else:
                await Removals(self._database.sessions).remove(story.id)

    async def _clear(self) -> None:
        match self._dice.randrange(4):
            case 0:
                for story_id in (await expected(self._database))[::5]:
                    long_ago = now() - dt.timedelta(days=2)
                    await change(self._database, story_id, asked_at=long_ago)
                await self.queue.sweep()
            case 1:
                await self.queue.release_all()
                self._telling.clear()
            case 2:
                await Privacy(self._database.sessions).forget_stories(1, words=True)
            case 3:
                await Departures(self._database.sessions).forget_some(self._dice.randrange(1, 5))

    def _some(self) -> Story | None:
        """One that is being told, unless there is none."""
        return (
            self._telling.pop(self._dice.randrange(len(self._telling))) if self._telling else None
        )


@pytest.mark.parametrize("seed", [1, 2])
async def test_after_any_change_everybody_stands_where_they_should(
    database: Database, seed: int
) -> None:
    chance, dice = Chance(database, seed), random.Random(seed)
    for _ in range(60):
        what = await chance.act()
        places = await expected(database)
        assert await kept(chance.queue) == places, what
        for story_id in dice.sample(places, min(2, len(places))):
            assert await chance.queue.position(story_id) == places.index(story_id) + 1, what


async def test_every_method_of_the_repositories_leaves_everybody_where_they_should_be(
    database: Database,
) -> None:
    count = 2500
    await fill(database, count, live=60)
    bench = Bench(database.sessions, count)
    for step in steps(bench):
        await step.take(await step.prepare())
        assert await kept(bench.queue) == await expected(database), step.name


async def test_a_change_that_moves_nobody_up_is_noticed(database: Database) -> None:
    queue = queue_of(database, **ROOM)
    first, _, other = [await queue.enqueue(wish(member)) for member in (1, 1, 2)]
    async with database.sessions.begin() as session:
        await session.execute(
            update(Story).where(Story.id == first.id).values(state=State.CANCELLED, server=None)
        )
    assert await kept(queue) != await expected(database)
    await queue.cancel(other.id, 2)  # another's turns are left alone
    await queue.enqueue(wish(1))
    assert await kept(queue) == await expected(database)


async def test_many_at_once_neither_stop_each_other_nor_lose_their_turn(database: Database) -> None:
    queue = queue_of(database, **ROOM)

    async def somebody(number: int) -> None:
        dice = random.Random(number)
        owner, mine, asked = f"bot {number}", list[Story](), list[Story]()
        for _ in range(12):
            match dice.choice("aaaccctrx"):
                case "a":
                    one = wish(dice.randrange(1, 5), guild_id=dice.choice(SERVERS))
                    both = [one, replace(one, nth=1)][: dice.randint(1, 2)]
                    asked += await queue.enqueue_together(both)
                case "c":
                    story = await queue.claim(owner)
                    mine += [story] if story else []
                case "t" if mine:
                    story = mine.pop()
                    await queue.told(story, owner, "text", 1)
                    await queue.shown(story.id, State.TOLD)
                case "r" if mine:
                    await queue.renew(owner, [story.id for story in mine])
                    await queue.release(owner, [story.id for story in mine])
                    mine.clear()
                case "x" if asked:
                    story = asked.pop()
                    await queue.posted(story.id, 1)
                    await queue.cancel(story.id, story.member_id)

    await asyncio.gather(*(somebody(number) for number in range(16)))
    assert await kept(queue) == await expected(database)


async def test_whoever_asks_in_a_full_server_at_once_is_counted(database: Database) -> None:
    queue = queue_of(database, per_server=3, per_member=2)
    # Members ask in two servers at the same time, so each has one of them in common with another.
    asked = [wish(member, guild_id=guild) for member in range(1, 7) for guild in (1, 2)]
    answers = await asyncio.gather(*map(queue.enqueue, asked), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, QueueFullError)]
    assert len(answers) - len(refused) == 2 * 3
