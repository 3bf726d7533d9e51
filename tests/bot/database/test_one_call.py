"""A story that PostgreSQL changes or adds in one message, by a function of our statements."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from bot.config import Queue as QueueSettings
from bot.database import Database, open_database
from bot.database.limits import Limits, QueueFullError
from bot.database.queue import Queue
from bot.database.tables import Length, State
from tests.bot.database.overhearing import overheard
from tests.bot.database.test_migrations import move
from tests.bot.rows import get
from tests.bot.wishes import queue_of, wish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.bot.database.postgresql import Server

OURS = """
SELECT proname FROM pg_proc
WHERE proname LIKE 'kataribe_%' AND pronamespace = current_schema()::regnamespace
"""


@pytest.fixture
async def served(postgresql: Server) -> AsyncIterator[Database]:
    async with open_database(postgresql.new_database()) as opened:
        yield opened


async def functions(database: Database) -> set[str]:
    async with database.engine.connect() as connection:
        return set((await connection.scalars(text(OURS))).all())


async def test_it_is_made_where_it_is_first_missed_and_by_one_of_many(served: Database) -> None:
    queue = queue_of(served)
    assert await functions(served) == set()
    asked = {(await queue.enqueue(wish(member))).id for member in range(1, 9)}
    taken = await asyncio.gather(*(queue.claim("bot") for _ in asked))
    assert {story.id for story in taken if story is not None} == asked
    made = await functions(served)
    async with served.engine.begin() as connection:
        for name in made:
            await connection.execute(text(f"DROP FUNCTION {name}"))
    assert await queue.claim("bot") is None
    again = await functions(served)
    assert again
    assert again <= made


async def test_who_is_too_late_for_one_story_takes_the_next(served: Database) -> None:
    queue = queue_of(served)
    asked = [await queue.enqueue(wish(member)) for member in range(1, 41)]
    taken = await asyncio.gather(*(queue.claim(f"bot {n}") for n in range(len(asked))))
    assert sorted(story.id for story in taken if story is not None) == [s.id for s in asked]


async def test_what_it_gives_is_what_stands_there(served: Database) -> None:
    queue = queue_of(served)
    asked = await queue.enqueue(wish(prompt="It's $1, {and} %s; :moment\\"))
    claimed = await queue.claim("bot")
    assert claimed is not None
    assert (claimed.state, claimed.prompt) == (State.TELLING, asked.prompt)
    words = "'; DROP TABLE stories; -- $function$ {0} %s"
    told = await queue.told(claimed, "bot", words, 5)
    read = await get(served, asked.id)
    assert told is not None
    names = [column.name for column in read.__table__.columns]
    assert [getattr(told, name) for name in names] == [getattr(read, name) for name in names]
    assert read.text == words
    assert await queue.told(claimed, "another", "late", 1) is None
    assert (await get(served, asked.id)).text == words


async def test_a_wish_is_one_message_and_what_is_refused_is_said(served: Database) -> None:
    queue, said = queue_of(served), list[str]()
    await served.sessions.aclose()  # none is kept, so that each is overheard
    await queue.enqueue(wish())
    asked = wish()
    with overheard(served, lambda words, _: said.append(words)):
        saved = await queue.enqueue(asked)
    (message,) = said
    assert message.startswith("SELECT * FROM kataribe_")
    assert (await get(served, saved.id)).own == saved.own
    again = await queue.enqueue(asked)
    assert again.id == saved.id
    with pytest.raises(QueueFullError):
        await queue.enqueue(wish(), replace(Limits.of(QueueSettings()), cooldown=600))


async def test_what_is_saved_at_once_is_what_is_saved_step_by_step(served: Database) -> None:
    class StepByStep(Queue):
        """As SQLite has it."""

        async def _added(self, given: dict[str, Any]) -> None:
            del given

    rows = []
    given: dict[str, Any] = {"mood": "wild", "length": Length.LONG, "private": True, "plain": True}
    for member, kind in ((1, Queue), (2, StepByStep)):
        queue = kind(served.sessions, QueueSettings())
        saved = await queue.enqueue(wish(member, answer_token="token", language="ja", **given))
        row = await get(served, saved.id)
        rows.append({column.name: getattr(row, column.name) for column in row.__table__.columns})
    assert [value is None for value in rows[0].values()] == [v is None for v in rows[1].values()]
    differ = {name for name in rows[0] if rows[0][name] != rows[1][name]}
    assert differ == {"id", "interaction_id", "member_id", "wish", "asked_at", "answer_until"}


async def test_a_function_keeps_no_table_from_being_dropped(served: Database) -> None:
    await queue_of(served).claim("bot")
    assert await functions(served)
    async with served.engine.begin() as connection:
        await connection.run_sync(lambda sync: move(sync, "base"))
