"""What servers tell is shown as far as it is fit, told anew once, and withheld after that."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from bot.bench.steps import Bench
from bot.database.queue import ANEW
from bot.database.tables import Guild, State
from bot.locales import say
from bot.messages.embeds import ended
from bot.safety import second_opinion
from tests.bot.completions_servers import DONE, hearing, server, streaming, text
from tests.bot.village import village

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest
    from aiohttp import web

    from bot.database import Database
    from bot.database.tables import Story
    from tests.bot.village import Wall

UNFIT = (" a fox", " found a", " di", "l", "do", " and slept.")
CLEAN = " a fox found a"
FIT = (" a fox", " found the moon", ".")
WHOLE = " a fox found the moon."


@asynccontextmanager
async def fickle(first: tuple[str, ...], then: tuple[str, ...]) -> AsyncIterator[tuple[str, Any]]:
    """A completions server like many, which tells one thing with seed 7 and another with others."""
    heard: list[dict[str, Any]] = []

    async def by_seed(request: web.Request) -> web.StreamResponse:
        pieces = first if (await request.json())["seed"] == 7 else then
        return await streaming(*map(text, pieces), text("", "stop"), DONE)(request)

    async with server(hearing(heard, by_seed)) as url:
        yield url, heard


async def told(
    database: Database, first: tuple[str, ...], then: tuple[str, ...] = FIT, **wish: Any
) -> tuple[Story, Wall, list[int]]:
    """A story that came to its end, what was shown of it, and the seeds that it was told with."""
    async with fickle(first, then) as (url, heard), village(database, url) as place:
        story_id = await place.ask(**wish)
        await place.over(story_id)
        return await place.get(story_id), place.wall, [body["seed"] for body in heard]


async def ban(database: Database, guild_id: int, *words: str) -> None:
    """What a server's moderators choose in its settings."""
    settings = json.dumps({"filter_words": words})
    async with database.sessions.begin() as session:
        session.add(Guild(guild_id=guild_id, settings=settings))


async def test_what_is_not_fit_twice_is_withheld_and_never_shown(database: Database) -> None:
    story, wall, seeds = await told(database, UNFIT, UNFIT)
    assert seeds == [7, 7 + ANEW]
    assert (story.state, story.withheld, story.redrawn) == (State.FAILED, "unfit", 1)
    assert (story.seed, story.attempts, story.text.rstrip()) == (7 + ANEW, 1, CLEAN)
    assert all(CLEAN.startswith(shown.rstrip()) for shown in wall.shown[story.id])
    assert "dildo" not in (story.error or "")
    page = ended(story).description or ""
    assert page.endswith(say("story.withheld"))


async def test_the_next_seed_may_tell_what_is_fit(database: Database) -> None:
    story, wall, seeds = await told(database, UNFIT)
    assert seeds == [7, 7 + ANEW]
    assert (story.state, story.text, story.seed) == (State.TOLD, WHOLE, 7 + ANEW)
    assert (story.withheld, story.redrawn, story.attempts) == (None, 1, 1)
    assert [what for what, _ in wall.happened if what != "words"] == [
        *("began", "broke off", "began", "ended"),
    ]


async def test_a_word_that_the_beginning_began_is_seen(database: Database) -> None:
    story, _, seeds = await told(database, ("do", " was there."), prompt="Then a dil")
    assert (seeds, story.text) == ([7, 7 + ANEW], WHOLE)


async def test_what_the_second_opinion_finds_is_taken_back_whole(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_opinion, "library_objects_to", lambda told: "turnip" in told)
    story, wall, seeds = await told(database, (" a fox", " ate a turnip", "."))
    assert (seeds, story.state, story.text) == ([7, 7 + ANEW], State.TOLD, WHOLE)
    assert ("taken back", story.id) in wall.happened
    story, wall, seeds = await told(database, (" a turnip.",), (" a turnip.",))
    assert (story.state, story.withheld, story.text) == (State.FAILED, "unfit", "")


async def test_a_servers_own_words_are_screened_in_that_server_alone(database: Database) -> None:
    await ban(database, 10, "moon*")
    story, _, seeds = await told(database, FIT, guild_id=10)
    assert (story.state, story.withheld, seeds) == (State.FAILED, "unfit", [7, 7 + ANEW])
    for elsewhere in (11, None):
        story, _, seeds = await told(database, FIT, guild_id=elsewhere)
        assert (story.state, story.text, seeds) == (State.TOLD, WHOLE, [7])


async def test_what_stands_in_the_beginning_is_not_held_against_the_story(
    database: Database,
) -> None:
    await ban(database, 10, "year")
    story, _, seeds = await told(database, FIT, guild_id=10, prompt="In the year")
    assert (story.state, seeds) == (State.TOLD, [7])


async def test_a_story_of_one_word_that_begins_like_another_is_shown_at_its_end(
    database: Database,
) -> None:
    story, wall, _ = await told(database, (" dil",))
    assert (story.state, story.text) == (State.TOLD, " dil")
    assert wall.shown[story.id][-1] == " dil"


async def test_settings_without_a_filter_or_a_server_without_settings_ban_nothing(
    database: Database,
) -> None:
    guilds = Bench(database.sessions, 1).guilds
    assert await guilds.filter_words(5) == await guilds.filter_words(None) == ()
    await guilds.change(5, 1, filter_words=("tea",))
    assert await guilds.filter_words(5) == ("tea",)
