"""Those who write at the same time on SQLite share a commit, and each keeps its own."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import sqlite3
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, insert, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from bot.database import Database, open_database
from bot.database.errors import passes
from bot.database.tables import Mute
from tests.bot.database.overhearing import overheard
from tests.bot.village import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

MEMBERS = 20
MUTED = insert(Mute.metadata.tables["mutes"]).returning(Mute.member_id)
INSERT = text("INSERT INTO mutes VALUES (1, :member, '2026-11-27 00:00:00.000000', :reason, 1)")


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'kataribe.db'}") as opened:
        yield opened


def muted(member: int) -> dict[str, Any]:
    """What `MUTED` is given."""
    until = dt.datetime(2026, 11, 27, tzinfo=dt.UTC)
    return {"guild_id": 1, "member_id": member, "until": until, "reason": "", "moderator_id": 1}


def saved(folder: Path) -> int:
    """What another program sees in the file, which is what was committed."""
    with sqlite3.connect(folder / "kataribe.db") as other:
        (count,) = other.execute("SELECT count(*) FROM mutes").fetchone()
    other.close()
    return int(count)


# Who is cancelled in the middle of a statement leaves its connection to the collector. In the bot
# nobody is: every repository is `unbroken`.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What such a test leaves is its own, and no later test's."""
    yield
    gc.collect()


async def test_many_who_write_together_are_saved_when_they_return(
    sqlite: Database, tmp_path: Path
) -> None:
    commits = 0

    def count(words: str, _values: object) -> None:
        nonlocal commits
        commits += words == "COMMIT"

    found = []

    async def write(member: int) -> None:
        async with sqlite.sessions.begin() as session:
            await session.execute(INSERT, {"member": member, "reason": ""})
        found.append(saved(tmp_path))

    with overheard(sqlite, count):
        await asyncio.gather(*(write(member) for member in range(MEMBERS)))
    assert found == [MEMBERS] * MEMBERS, "nobody returns before the commit that has their row"
    assert commits == 1


async def test_who_fails_takes_back_its_own_and_nothing_of_the_others(
    sqlite: Database, tmp_path: Path
) -> None:
    async def write(member: int, *, fails: bool) -> None:
        async with sqlite.sessions.begin() as session:
            await session.execute(INSERT, {"member": member, "reason": ""})
            if fails:
                raise LookupError

    writing = [write(member, fails=member % 2 == 0) for member in range(MEMBERS)]
    ended = await asyncio.gather(*writing, return_exceptions=True)
    assert [isinstance(one, LookupError) for one in ended] == [n % 2 == 0 for n in range(MEMBERS)]
    assert saved(tmp_path) == MEMBERS / 2


async def test_an_error_of_the_database_is_of_who_made_it(sqlite: Database, tmp_path: Path) -> None:
    async def write(member: int) -> None:
        async with sqlite.sessions.begin() as session:
            await session.execute(INSERT, {"member": member, "reason": ""})

    ended = await asyncio.gather(write(1), write(1), write(2), return_exceptions=True)
    assert [type(one) for one in ended] == [type(None), IntegrityError, type(None)]
    assert saved(tmp_path) == 2


async def test_a_full_disk_is_what_everybody_hears_of_whose_words_it_took(
    sqlite: Database, tmp_path: Path
) -> None:
    def fill(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA page_count")
        cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0]}")
        cursor.close()

    async def write(member: int, reason: str = "") -> None:
        async with sqlite.sessions.begin() as session:
            with suppress(OperationalError):
                await session.execute(INSERT, {"member": member, "reason": reason})
            # Were it saved, those before would be told that what SQLite took back was saved too.
            await session.execute(INSERT, {"member": member + MEMBERS, "reason": ""})

    event.listen(sqlite.engine.sync_engine, "connect", fill)
    await sqlite.engine.dispose()
    writing = [write(1), write(2, "long" * 10_000), write(3)]
    first, long, last = await asyncio.gather(*writing, return_exceptions=True)
    assert (type(first), type(long), last) == (OperationalError, OperationalError, None)
    assert "disk is full" in str(first)
    assert "disk is full" in str(long)
    assert saved(tmp_path) == 2


async def test_what_was_opened_while_the_disk_could_only_be_read_is_opened_anew(
    sqlite: Database, tmp_path: Path
) -> None:
    async with sqlite.engine.connect() as connection:
        # So SQLite opens a file that it may not write, and so it refuses a write then.
        await connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(OperationalError, match="readonly"):
        async with sqlite.sessions.begin() as session:
            await session.execute(INSERT, {"member": 1, "reason": ""})
    async with sqlite.sessions.begin() as session:
        await session.execute(INSERT, {"member": 2, "reason": ""})
    assert saved(tmp_path) == 1


async def test_who_shared_a_transaction_with_a_refused_write_hears_of_the_disk(
    sqlite: Database,
) -> None:
    reads, comes = asyncio.Event(), asyncio.Event()

    async def look() -> None:
        async with sqlite.sessions.begin() as session:
            await session.execute(text("PRAGMA query_only = ON"))
            reads.set()
            await comes.wait()

    async def write() -> None:
        await reads.wait()
        comes.set()
        async with sqlite.sessions.begin() as session:
            await session.execute(INSERT, {"member": 1, "reason": ""})

    async with asyncio.timeout(PATIENCE):
        heard = await asyncio.gather(look(), write(), return_exceptions=True)
    # Of another kind of error nobody would try again.
    assert [type(error) for error in heard] == [OperationalError] * 2
    assert all("readonly" in str(error) for error in heard)


async def test_all_who_stood_in_line_are_told_together_that_another_program_has_the_lock(
    sqlite: Database, tmp_path: Path
) -> None:
    tries = 0

    def count(words: str, _values: object) -> None:
        nonlocal tries
        tries += words == "BEGIN IMMEDIATE"

    def hurry(connection: Any, _record: object) -> None:
        connection.cursor().execute("PRAGMA busy_timeout = 1")

    async def write(member: int) -> None:
        async with sqlite.sessions.begin() as session:
            await session.execute(INSERT, {"member": member, "reason": ""})

    event.listen(sqlite.engine.sync_engine, "connect", hurry)
    await sqlite.engine.dispose()
    other = sqlite3.connect(tmp_path / "kataribe.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with overheard(sqlite, count):
        ended = await asyncio.gather(*map(write, range(MEMBERS)), return_exceptions=True)
    assert [type(one) for one in ended] == [OperationalError] * MEMBERS
    assert tries == 2, "the first, and one for those who came while it waited"
    other.close()
    await write(1)
    assert saved(tmp_path) == 1


async def test_who_stops_waiting_just_when_their_turn_comes_leaves_nobody_uncommitted(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def write(member: int) -> None:
        async with sqlite.sessions.begin() as session:
            await session.execute(INSERT, {"member": member, "reason": ""})
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


async def test_who_is_cancelled_while_it_saves_for_others_takes_nobody_along(
    sqlite: Database, tmp_path: Path
) -> None:
    def stop(words: str, _values: object) -> None:
        if words == "COMMIT":
            asyncio.get_running_loop().call_soon(writing[-1].cancel)

    async def write(member: int) -> None:
        async with sqlite.sessions.begin() as session:
            await session.execute(INSERT, {"member": member, "reason": ""})

    with overheard(sqlite, stop):
        writing = [asyncio.create_task(write(member)) for member in range(MEMBERS)]
        await asyncio.wait(writing)
    assert [one.cancelled() for one in writing] == [False] * (MEMBERS - 1) + [True]
    assert saved(tmp_path) == MEMBERS


async def test_nobody_joins_what_is_about_to_be_taken_back(
    sqlite: Database, tmp_path: Path
) -> None:
    held_up, loop, begun = threading.Event(), asyncio.get_running_loop(), 0

    def go_on(turns: int) -> None:
        if turns:
            loop.call_soon(go_on, turns - 1)
        else:
            held_up.set()

    def stop(words: str, _values: object) -> None:
        nonlocal begun
        begun += words == "BEGIN IMMEDIATE"
        group = sqlite.sessions._group
        if words == "ROLLBACK" and group is not None:
            # It is still to be done when the first is gone.
            group._driver._tx.put_nowait((None, held_up.wait))
            loop.call_soon(first.cancel)
            go_on(10)

    async def write(member: int, *, fails: bool = False) -> None:
        async with sqlite.sessions.short() as transaction:
            await transaction.rows(MUTED, muted(member))
            if fails:
                raise LookupError

    with overheard(sqlite, stop):
        first = asyncio.create_task(write(1, fails=True))
        other = asyncio.create_task(write(2))
        async with asyncio.timeout(PATIENCE):
            await other
            await asyncio.wait([first])
    assert first.cancelled()
    assert begun == 2
    assert saved(tmp_path) == 1


@pytest.mark.parametrize("short", [False, True], ids=["with a session", "short"])
async def test_a_connection_that_breaks_takes_its_own_group_and_no_other(
    sqlite: Database, tmp_path: Path, *, short: bool
) -> None:
    async def write(member: int, *, breaks: bool = False) -> None:
        async with sqlite.sessions.short() if short else sqlite.sessions.begin() as writes:
            if isinstance(writes, AsyncSession):
                await writes.execute(MUTED, muted(member))
            else:
                await writes.rows(MUTED, muted(member))
            group = sqlite.sessions._group
            if breaks and group is not None:
                await group._driver.close()

    for breaking in (1, 2):
        writing = [write(10 * breaking + n, breaks=n == breaking) for n in (1, 2)]
        ended = await asyncio.gather(*writing, return_exceptions=True)
        assert [type(one) for one in ended[:breaking]] == [OperationalError] * breaking
        assert all(passes(one) for one in ended[:breaking] if isinstance(one, Exception))
        assert ended[breaking:] == [None] * (2 - breaking)
        await write(breaking)
    assert saved(tmp_path) == 3


async def test_what_no_text_can_have_is_the_trouble_of_who_wrote_it(
    sqlite: Database, tmp_path: Path
) -> None:
    async def write(member: int, reason: str = "") -> None:
        async with sqlite.sessions.short() as transaction:
            await transaction.rows(MUTED, muted(member) | {"reason": reason})

    ended = await asyncio.gather(write(1), write(2, "\ud800"), write(3), return_exceptions=True)
    assert [type(one) for one in ended] == [type(None), UnicodeEncodeError, type(None)]
    assert saved(tmp_path) == 2
