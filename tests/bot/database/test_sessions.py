"""Those who write at the same time on SQLite share a commit, and each keeps its own."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from bot.database import Database, open_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MEMBERS = 20
INSERT = text("INSERT INTO mutes VALUES (1, :member, '2026-11-27 00:00:00.000000', '', 1)")


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'kataribe.db'}") as opened:
        yield opened


def saved(folder: Path) -> int:
    """What another program sees in the file, which is what was committed."""
    with sqlite3.connect(folder / "kataribe.db") as other:
        (count,) = other.execute("SELECT count(*) FROM mutes").fetchone()
    other.close()
    return int(count)


async def test_many_who_write_together_are_saved_when_they_return(
    sqlite: Database, tmp_path: Path
) -> None:
    commits = 0

    def count(_c: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    event.listen(sqlite.engine.sync_engine, "before_cursor_execute", count)
    found = []

    async def write(member: int) -> None:
        async with sqlite.sessions.begin() as session:
            await session.execute(INSERT, {"member": member})
        found.append(saved(tmp_path))

    await asyncio.gather(*(write(member) for member in range(MEMBERS)))
    assert found == [MEMBERS] * MEMBERS, "nobody returns before the commit that has their row"
    assert commits == 1


async def test_who_fails_takes_back_its_own_and_nothing_of_the_others(
    sqlite: Database, tmp_path: Path
) -> None:
    async def write(member: int, *, fails: bool) -> None:
        async with sqlite.sessions.begin() as session:
            await session.execute(INSERT, {"member": member})
            if fails:
                raise LookupError

    writing = [write(member, fails=member % 2 == 0) for member in range(MEMBERS)]
    ended = await asyncio.gather(*writing, return_exceptions=True)
    assert [isinstance(one, LookupError) for one in ended] == [n % 2 == 0 for n in range(MEMBERS)]
    assert saved(tmp_path) == MEMBERS / 2


async def test_an_error_of_the_database_is_of_who_made_it(sqlite: Database, tmp_path: Path) -> None:
    async def write(member: int) -> None:
        async with sqlite.sessions.begin() as session:
            await session.execute(INSERT, {"member": member})

    ended = await asyncio.gather(write(1), write(1), write(2), return_exceptions=True)
    assert [type(one) for one in ended] == [type(None), IntegrityError, type(None)]
    assert saved(tmp_path) == 2


async def test_who_stops_waiting_just_when_their_turn_comes_leaves_nobody_uncommitted(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def write(member: int) -> None:
        async with sqlite.sessions.begin() as session:
            await session.execute(INSERT, {"member": member})
            inside.set()
            await go_on.wait()

    writes = asyncio.create_task(write(1))
    await inside.wait()
    waits = asyncio.create_task(write(2))
    turn = sqlite.sessions._turn
    release = turn.release

    def release_and_stop() -> None:
        release()
        waits.cancel()

    monkeypatch.setattr(turn, "release", release_and_stop)
    await asyncio.sleep(0)
    go_on.set()
    await writes
    assert saved(tmp_path) == 1
    await asyncio.wait([waits])
    assert waits.cancelled()
