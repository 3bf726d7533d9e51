"""What is found again, and what is not."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, delete, update

import bot.database.rewriting  # noqa: F401  # as Alembic's entry does
from bot.database.browsing import PAGES, PER_PAGE, Browsing, Span, Viewer
from bot.database.clock import now
from bot.database.migrating import schema_change
from bot.database.tables import Duel, Form, State, Story

if TYPE_CHECKING:
    from bot.database import Database

_interactions = itertools.count(5000)
HERE = Viewer(10, 1, frozenset({20, 21}))
ELSEWHERE = Viewer(None, 1)


async def told(database: Database, text: str = " a fox found the moon.", **changes: Any) -> int:
    """A story that was told; each a minute after the one before."""
    number = next(_interactions)
    given: dict[str, Any] = {
        "interaction_id": number,
        "guild_id": 10,
        "channel_id": 20,
        "member_id": 2,
        "prompt": "In the year",
        "house_opening": True,
        "model": "gpt2-starter",
        "seed": 7,
        "text": text,
        "state": State.TOLD,
        "asked_at": now(),
        "told_at": now() - dt.timedelta(hours=1) + dt.timedelta(seconds=number - 5000),
    }
    story = Story(**given | changes)
    async with database.sessions.begin() as session:
        session.add(story)
    return story.id


async def change(database: Database, story_id: int, **values: Any) -> None:
    async with database.sessions.begin() as session:
        await session.execute(update(Story).where(Story.id == story_id).values(**values))


async def found(database: Database, words: str, viewer: Viewer = HERE) -> list[int]:
    page = await Browsing(database.sessions).search(viewer, words, 1)
    return [story.id for story in page.stories]


async def everywhere(database: Database, viewer: Viewer) -> set[int]:
    """Every story that any list but one's own shows."""
    browsing = Browsing(database.sessions)
    pages = [await browsing.top(viewer, span, 1) for span in Span]
    pages += [await browsing.new(viewer, 1), await browsing.search(viewer, "fox", 1)]
    ids = {story.id for page in pages for story in page.stories}
    one = await browsing.any_one(viewer)
    return ids | ({one.id} if one else set())


async def test_the_newest_stand_first_page_by_page(database: Database) -> None:
    ids = [await told(database) for _ in range(2 * PER_PAGE + 1)]
    browsing = Browsing(database.sessions)
    pages = [await browsing.new(HERE, number) for number in (1, 2, 3)]
    assert [story.id for page in pages for story in page.stories] == ids[::-1]
    assert [(page.number, page.more) for page in pages] == [(1, True), (2, True), (3, False)]
    # Numbers of pages come out of buttons.
    assert (await browsing.new(HERE, 0)).number == 1
    assert (await browsing.new(HERE, 10**9)).number == PAGES


async def test_the_best_are_by_their_average_within_the_span(database: Database) -> None:
    ago = {Span.DAY: 0.5, Span.WEEK: 6, Span.MONTH: 29, Span.ALL: 400}
    ids = {
        span: await told(
            database, votes=3, stars=12, score=3.5 + days / 1000,
            told_at=now() - dt.timedelta(days=days),
        )
        for span, days in ago.items()
    }  # fmt: skip
    await told(database, votes=2, stars=10)  # too few votes
    browsing = Browsing(database.sessions)
    for number, span in enumerate(Span, start=1):
        page = await browsing.top(HERE, span, 1)
        # The older ones are better, by their score.
        assert [story.id for story in page.stories] == list(ids.values())[:number][::-1]


@pytest.mark.parametrize(
    "hidden",
    [
        {"channel_id": 22},
        {"guild_id": 11},
        {"guild_id": None},
        {"private": True},
        {"private": True, "member_id": 1},
        {"removed_at": now()},
        {"state": State.CANCELLED},
        {"state": State.QUEUED, "told_at": None},
    ],
)
async def test_what_is_not_for_the_member_is_in_no_list(
    database: Database, hidden: dict[str, Any]
) -> None:
    await told(database, votes=3, stars=15, score=5.0, **hidden)
    assert await everywhere(database, HERE) == set()
    assert await everywhere(database, Viewer(10, 1)) == set()
    seen = await told(database, votes=3, stars=15, score=5.0)
    assert await everywhere(database, HERE) == {seen}


async def test_ones_own_are_all_there_and_nobody_elses(database: Database) -> None:
    private = await told(database, member_id=1, private=True)
    hidden = await told(database, member_id=1, channel_id=99)
    outside = await told(database, member_id=1, guild_id=None)
    await told(database, member_id=1, removed_at=now())
    await told(database, member_id=1, guild_id=11)
    await told(database, guild_id=None)
    browsing = Browsing(database.sessions)
    mine = await browsing.mine(HERE, 1)
    assert [story.id for story in mine.stories] == [hidden, private]
    assert {story.id for story in (await browsing.mine(ELSEWHERE, 1)).stories} == {outside}
    # Outside of servers every list has one's own, and nothing else.
    assert await everywhere(database, ELSEWHERE) == {outside}


async def test_words_are_found_in_beginnings_and_stories_in_any_case_and_form(
    database: Database,
) -> None:
    dragons = await told(database, " two Dragons slept in the café.", prompt="Once, don't")
    moon = await told(database)
    cat = await told(database, prompt="吾輩は猫である。名前はまだ無い。")
    for words in ("dragon", "DRAGONS slept", "cafe\u0301", "don't dragons"):
        assert await found(database, words) == [dragons], words
    assert await found(database, "moon") == [cat, moon]
    assert await found(database, "吾輩") == [cat]
    assert await found(database, "名前") == [cat]
    for words in ("dragon moon", "unicorn", "", "?!", "words: x", '"', "* NEAR fox"):
        assert await found(database, words) == [], words
    assert await found(database, "fox " * 50) == [cat, moon]


async def test_words_that_are_gone_are_found_no_more(database: Database) -> None:
    first, second, third, fourth = [await told(database) for _ in range(4)]
    await change(database, first, text="", prompt="")
    await change(database, second, removed_at=now())
    await change(database, third, private=True)
    async with database.sessions.begin() as session:
        await session.execute(delete(Story).where(Story.id == fourth))
    assert await found(database, "fox") == []
    await change(database, first, text=" a badger")
    await change(database, third, private=False)
    assert await found(database, "fox") == [third]
    assert await found(database, "badger") == [first]


@pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)
async def test_a_table_written_anew_is_searched_as_before(database: Database) -> None:
    before = [await told(database) for _ in range(3)]

    def rewrite(connection: Connection) -> None:
        with (
            Operations.context(MigrationContext.configure(connection)) as operations,
            operations.batch_alter_table("stories", recreate="always"),
        ):
            pass

    async with schema_change(database.engine) as connection:
        await connection.run_sync(rewrite)
    assert await found(database, "fox") == before[::-1]
    later = await told(database)
    await change(database, before[0], text="", prompt="")
    assert await found(database, "fox") == [later, *before[:0:-1]]


async def test_who_told_a_duel_is_not_said_before_it_is_closed(database: Database) -> None:
    duel = {
        "guild_id": 10,
        "channel_id": 20,
        "member_id": 2,
        "model_a": "gpt2-starter",
        "model_b": "lstm-starter",
        "opened_at": now(),
        "closes_at": now(),
    }
    for closed_at, model in ((None, None), (now(), "gpt2-starter")):
        story_id = await told(database, form=Form.DUEL)
        async with database.sessions.begin() as session:
            story = await session.get_one(Story, story_id)
            interaction_id = story.interaction_id
            session.add(Duel(interaction_id=interaction_id, closed_at=closed_at, **duel))
        browsing = Browsing(database.sessions)
        newest = (await browsing.new(HERE, 1)).stories[0]
        assert (newest.id, newest.model) == (story_id, model)
        assert await browsing.is_blind(story) == (model is None)
