"""Several bots on one PostgreSQL: each has its shards, and what nobody serves has an heir."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bot.config import Shards
from bot.database import DatabaseError, clock, guilds, open_database, server_lock
from bot.database.clock import Clock, now
from bot.database.guilds import Guilds
from bot.database.lock import owner_name, sole_user
from bot.database.reach import Reach
from bot.database.server_lock import Member
from bot.database.turns import wisher
from bot.worker import fleet
from bot.worker.bell import Bell
from bot.worker.fleet import Fleet
from tests.bot.village import village
from tests.bot.wishes import queue_of, wish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.database import Database
    from tests.bot.teller import Teller

pytestmark = pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)

GUILDS = [number << 22 for number in (4, 5, 6, 7)]
"""A server of each of four shards."""


def shards(written: str) -> Shards:
    read = Shards.read(written)
    assert read is not None
    return read


def member(written: str, bot: str = "bot", owner: str = "") -> Member:
    return Member(owner or owner_name(), shards(written), bot)


@asynccontextmanager
async def joined(url: str, one: Member) -> AsyncIterator[Fleet]:
    async with sole_user(url, one), open_database(url) as database:
        joins = Fleet(database, one, Bell())
        await joins.begin(queue_of(database))
        yield joins
        await joins._look_away()


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_lock, "HANDED_OVER_WITHIN", 0.0)


async def test_each_process_has_its_own_shards(database_url: str) -> None:
    async with sole_user(database_url, member("0-1/4")), sole_user(database_url, member("2-3/4")):
        refused = {
            "Shard 1 of 4 is served by": member("1/4"),
            "counts 4 shards of this bot, and this process 8": member("7/8"),
            "Another bot, of another token": member("2/4", "another"),
        }
        for said, wrong in refused.items():
            with pytest.raises(DatabaseError, match=said) as raised:
                async with sole_user(database_url, wrong):
                    pass
            assert "\n" not in str(raised.value)
            assert "password" not in str(raised.value)
        with pytest.raises(DatabaseError, match="Another bot is running"):
            async with sole_user(database_url):
                pass
    async with sole_user(database_url):
        with pytest.raises(DatabaseError, match="Another bot is running"):
            async with sole_user(database_url, member("0/4")):
                pass


async def test_who_comes_while_another_stops_waits_for_its_shards(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_lock, "HANDED_OVER_WITHIN", 30.0)
    said: asyncio.Queue[str] = asyncio.Queue()
    monkeypatch.setattr(server_lock._log, "info", lambda line, *of: said.put_nowait(line % of))
    stops = sole_user(database_url, member("0/2"))
    await stops.__aenter__()
    async with asyncio.TaskGroup() as both, asyncio.timeout(60):
        comes = both.create_task(sole_user(database_url, member("0/2")).__aenter__())
        # By this the host knows when the other can be stopped.
        line = await said.get()
        assert line.startswith("Shard 0 of 2 is served by ")
        assert line.endswith(": it has 30 s to stop")
        assert not comes.done()
        await stops.__aexit__(None, None, None)


async def test_each_bot_tells_the_stories_of_its_shards(
    database: Database, database_url: str, tells: Teller
) -> None:
    async with (
        open_database(database_url) as another,
        village(database, tells.url) as first,
        village(another, tells.url) as second,
    ):
        database.sessions.reach = Reach("a", shards("0-1/4"), frozenset({0, 1}))
        another.sessions.reach = Reach("b", shards("2-3/4"), frozenset({2, 3}))
        places = [None, *GUILDS]
        asked = [await first.ask(number, guild_id=place) for number, place in enumerate(places)]
        second.bell.ring()
        await first.over(*asked[:3])
        await second.over(*asked[3:])
    assert {s.id for s in first.wall.ended_} == set(asked[:3])
    assert {s.id for s in second.wall.ended_} == set(asked[3:])


async def test_a_pause_holds_for_all_until_one_of_them_goes_on(database_url: str) -> None:
    async with (
        joined(database_url, member("0/2")) as first,
        joined(database_url, member("1/2")) as second,
    ):

        async def bells() -> list[bool]:
            for one in (first, second):
                await one.look()
            return [first._bell.paused, second._bell.paused]

        assert await bells() == [False, False]
        await first._bell.pause()
        assert await bells() == [True, True]
        await second._bell.resume()
        async with asyncio.timeout(30):
            # A server needs a moment to end a connection.
            while await bells() != [False, False]:
                pass
        await first._bell.pause()
        assert await bells() == [True, True]
        # The process where it was asked for stops.
        running = asyncio.create_task(first.run())
        await asyncio.wait([running], timeout=0.01)
        running.cancel()
        await asyncio.wait([running])
        async with asyncio.timeout(30):
            while await bells() != [False, False]:
                pass


async def test_all_keep_the_databases_time(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = Clock(lambda: time.time() + 3600)
    monkeypatch.setattr(clock, "_since_the_start", ahead)
    async with joined(database_url, member("0/2")):
        # The database runs on this machine.
        assert abs(now() - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=30)


async def test_what_a_server_chose_holds_in_every_process_a_moment_later(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = now()
    monkeypatch.setattr(guilds, "now", lambda: moment)
    async with open_database(database_url) as another:
        for one in (database, another):
            one.sessions.reach = Reach("a", shards("0/2"), frozenset({0}))
        here, there = Guilds(database.sessions), Guilds(another.sessions)
        assert (await there.settings(1)).cooldown == 0
        await here.change(1, 5, cooldown=60)
        assert (await there.settings(1)).cooldown == 0
        later = moment + guilds.FRESH
        monkeypatch.setattr(guilds, "now", lambda: later)
        assert (await there.settings(1)).cooldown == 60


async def test_a_wish_waits_for_those_of_its_server_and_its_member_and_for_no_others(
    database: Database,
) -> None:
    queue = queue_of(database)
    async with database.sessions.short(taking=wisher(1, GUILDS[0])):
        async with asyncio.timeout(30):
            await queue.enqueue(wish(2, guild_id=GUILDS[1]))
        same = [
            asyncio.create_task(queue.enqueue(wish(member_id, guild_id=place)))
            for member_id, place in ((1, GUILDS[2]), (3, GUILDS[0]))
        ]
        await asyncio.wait(same, timeout=0.1)
        assert not any(task.done() for task in same)
    await asyncio.gather(*same)


async def test_places_are_those_among_what_one_bot_tells_however_fast_others_are(
    database: Database,
) -> None:
    queue = queue_of(database)
    asked = [
        (await queue.enqueue(wish(number, guild_id=place))).id
        for number, place in enumerate((*GUILDS, None, *2 * GUILDS[:1], *GUILDS[2:]))
    ]
    ours, theirs = asked[2:4] + asked[7:], [asked[0], asked[1], *asked[4:7]]
    database.sessions.reach = Reach("a", shards("2-3/4"), frozenset({2, 3}))
    places = {story_id: place for place, story_id in enumerate(ours, 1)}
    assert await queue.positions() == places
    assert {story_id: await queue.position(story_id) for story_id in ours} == places
    # Of another bot's servers it is known which shard they are of, not what else is told there.
    assert [await queue.position(story_id) for story_id in theirs] == [1, 1, 2, 3, 4]
    database.sessions.reach = Reach("b", shards("0-1/4"), frozenset({0, 1}))
    assert await queue.positions() == {story_id: n for n, story_id in enumerate(theirs, 1)}
    for _ in theirs:
        told = await queue.claim("b")
        assert told is not None
        assert await queue.told(told, "b", " it rained.", 4) is not None
    database.sessions.reach = Reach("a", shards("2-3/4"), frozenset({2, 3}))
    assert await queue.positions() == places


async def test_a_shard_that_nobody_serves_has_one_heir_until_it_is_served_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "UNSERVED_FOR", 0.0)

    def taken(one: Fleet) -> set[int]:
        assert one._sessions.reach is not None
        return set(one._sessions.reach.shards)

    async with (
        joined(database_url, member("0/6")) as first,
        joined(database_url, member("3/6")) as second,
    ):
        for one in (first, second):
            await one.look()
        assert taken(first) == {4, 5, 0}
        assert taken(second) == {1, 2, 3}
        async with sole_user(database_url, member("4-5/6")):
            await first.look()
            assert taken(first) == {0}
        monkeypatch.setattr(fleet, "UNSERVED_FOR", 60.0)
        await first.look()
        assert taken(first) == {0}  # a restart has its time


async def test_a_bot_writes_on_as_long_as_it_is_seen_to_have_its_shards(
    database: Database, database_url: str, tells: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    here, moment = member("0/2"), loop.time()
    async with village(database, tells.url) as writes:
        looks = Fleet(database, here, writes.bell)

        async def sure_at() -> float | None:
            await looks.look()
            return writes.bell.sure_at

        async with sole_user(database_url, here):
            monkeypatch.setattr(loop, "time", lambda: moment)
            assert await sure_at() == moment
            writes.bell.ring()
            await writes.wall.until(lambda: writes.wall.sure_at == moment)
        seen_at, moment = moment, moment + 1
        async with asyncio.timeout(30):
            # A server needs a moment to let go.
            while await sure_at() == moment:
                seen_at, moment = moment, moment + 1
        async with sole_user(database_url, here):
            # Whoever took its shards over has a while to see that it is back.
            assert await sure_at() == seen_at
            moment += fleet.UNSERVED_FOR
            assert await sure_at() == moment
        await looks._look_away()


async def test_nobody_is_missed_while_the_database_could_not_be_asked(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with joined(database_url, member("0/2")) as one:
        loop = asyncio.get_running_loop()
        moment = loop.time()
        monkeypatch.setattr(loop, "time", lambda: moment)
        async with sole_user(database_url, member("1/2")):
            await one.look()
        # Its server is away for a minute, and whoever is back first sees nobody else.
        await one._look_away()
        moment += 60
        await one.look()
        assert one._sessions.reach is not None
        assert one._sessions.reach.shards == {0}
        moment += fleet.UNSERVED_FOR
        await one.look()
        assert one._sessions.reach.shards == {0, 1}


async def test_the_next_start_has_what_a_dead_process_told_and_nothing_of_the_living(
    database: Database, database_url: str
) -> None:
    queue = queue_of(database)
    for number, place in enumerate((*GUILDS[:2], GUILDS[0])):
        await queue.enqueue(wish(number, guild_id=place))
    lives = member("1/2", owner="lives")
    async with joined(database_url, lives):
        owners = [("dead", "lives", "dead")[n] for n in range(3)]
        told = [await queue.claim(owner) for owner in owners]
        assert all(told)
        async with joined(database_url, member("0/2")):
            held = {owner: await queue.held(owner) for owner in owners}
    claimed = {story.id: owner for story, owner in zip(told, owners, strict=True) if story}
    of_shard_0 = {s.id for s in told if s and s.guild_id == GUILDS[0]}
    assert held["dead"] == {i for i, o in claimed.items() if o == "dead"} - of_shard_0
    assert held["lives"] == {i for i, o in claimed.items() if o == "lives"}


async def test_what_is_called_off_elsewhere_stops_before_its_end_is_shown(
    database: Database, database_url: str, tells: Teller
) -> None:
    tells.hold()
    async with open_database(database_url) as another:
        database.sessions.reach = Reach("tells it", shards("0/2"), frozenset({0, 1}))
        another.sessions.reach = Reach("serves it", shards("1/2"), frozenset())
        async with village(database, tells.url) as tells_it, village(another, None) as serves_it:
            story_id = await tells_it.ask(1, guild_id=GUILDS[1])
            await tells.wished(1)
            looks = Fleet(database, member("0/2", owner="tells it"), tells_it.bell)
            another.sessions.reach = replace(another.sessions.reach, shards=frozenset({1}))
            called_off = await serves_it.queue.cancel(story_id, 1)
            assert called_off is not None
            assert await serves_it.queue.unshown("serves it", 1) == []
            # No word of it comes to the other but by its looks.
            looking = asyncio.create_task(looks.run())
            await tells_it.wall.until(lambda: ("lost", story_id) in tells_it.wall.happened)
            looking.cancel()
            await asyncio.wait([looking])
        assert not tells_it.wall.ended_


async def test_who_comes_back_has_the_places_of_its_stories_drawn_by_nobody_else(
    database: Database, database_url: str
) -> None:
    given_back: list[Callable[[int | None], bool]] = []
    async with sole_user(database_url, member("0/2")), sole_user(database_url, member("1/2")):
        looks = Fleet(database, member("0/2"), Bell(), given_back.append)
        looks._set(frozenset({1}))  # which was away
        await looks.look()
        await looks._look_away()
    (theirs,) = given_back
    assert [theirs(server) for server in (None, GUILDS[0], GUILDS[1])] == [False, False, True]
