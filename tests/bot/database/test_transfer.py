"""`python -m bot move`: everything of one database in another, whatever comes between."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import re
import signal
import sqlite3
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Enum,
    Float,
    Integer,
    String,
    func,
    insert,
    select,
    text,
)

from bot.__main__ import main
from bot.database import DatabaseError, open_database, transfer
from bot.database.browsing import Browsing, Viewer
from bot.database.columns import LARGEST, Moment
from bot.database.connection import make_engine, open_engine
from bot.database.lock import sole_user
from bot.database.revisions import newest_revision
from bot.database.transfer import TABLES, Transfer
from tests.bot.migrated import migrated_database
from tests.bot.wishes import queue_of, wish

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.database import Database
    from tests.bot.database.postgresql import Server

ROOT = Path(__file__).parents[3]
ROWS = 40
"""Of each table."""
FOUND = 26
"""A story that may be found again."""
NIGHT = dt.datetime(2026, 3, 29, 1, 59, 59, 999_999, dt.UTC)
TEXTS = ("", "In the year 1990.", "昔々 'a' \\ \"b\" {0} %s\n\t🦊", "null", '{"a": [1, "ü"]}')

Said = pytest.CaptureFixture[str]


KINDS: dict[type[Any], Callable[[int], Any]] = {
    Boolean: lambda row: row % 3 == 0,
    Moment: lambda row: NIGHT + dt.timedelta(seconds=row, microseconds=row % 2),
    Date: lambda row: dt.date(2026, 2, 28) + dt.timedelta(days=row),
    Float: lambda row: row / 3,
    BigInteger: lambda row: LARGEST - row,
    Integer: lambda row: row % 5 + 1,
    String: lambda row: f"{TEXTS[row % len(TEXTS)]} {row}",
}
"""What a row has of each; the first that fits."""
NAMES: dict[str, Callable[[int], Any]] = {
    "parent_id": lambda row: row - 1 or None,
    "choice": lambda row: ("a", "b", "tie")[row % 3],
    **dict.fromkeys(("interaction_id", "story_id", "duel_id"), int),
}


def value(column: Column[Any], row: int) -> Any:
    """What a column has in a row: everything that it may have, in some row."""
    if column.nullable and (row + len(column.name)) % 4 == 0:
        return None
    if column.name in NAMES:
        return NAMES[column.name](row)
    if column.primary_key and isinstance(column.type, Integer):
        return row
    if isinstance(column.type, Enum):
        words = list(column.type.enum_class or ())
        return words[row % len(words)]
    made = next(KINDS[kind] for kind in KINDS if isinstance(column.type, kind))(row)
    return made[: column.type.length] if isinstance(column.type, String) else made


async def fill(database: Database, rows: int = ROWS) -> None:
    """Fill every table; of the stories the newest was deleted."""
    async with database.engine.begin() as connection:
        for table in TABLES:
            every = [{c.name: value(c, row) for c in table.c} for row in range(1, rows + 1)]
            await connection.execute(insert(table), every)
        stories = TABLES[[table.name for table in TABLES].index("stories")]
        gone = {**{c.name: value(c, 1) for c in stories.c}, "id": 10 * rows, "interaction_id": 0}
        await connection.execute(insert(stories), gone)
        await connection.execute(stories.delete().where(stories.c.id == 10 * rows))


def url_of(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"


def dumped(file: Path) -> dict[str, list[Any]]:
    """All rows of a SQLite file as they are kept, and the numbers that were given."""
    with closing(sqlite3.connect(file)) as connection:
        return {
            name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr)  # noqa: S608
            for name in ("sqlite_sequence", *(table.name for table in TABLES))
        }


async def moved(here: str, there: str, **how: Any) -> dict[str, int]:
    source, target = make_engine(here), make_engine(there)
    try:
        return await Transfer(source, target, lambda *_: None, **how).run()
    finally:
        await source.dispose()
        await target.dispose()


@pytest.fixture
async def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A filled database, that of the settings."""
    file = tmp_path / "kataribe.db"
    monkeypatch.setenv("KATARIBE_DATABASE__URL", url_of(file))
    monkeypatch.setenv("KATARIBE_LOG__LEVEL", "error")
    async with migrated_database(url_of(file)) as database:
        await fill(database)
    return file


@pytest.fixture
def there(postgresql: Server) -> str:
    return postgresql.new_database()


async def test_all_goes_there_and_back_as_it_was(
    file: Path, there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    monkeypatch.setattr(transfer, "FEW", 7)
    back = tmp_path / "back.db"
    assert await asyncio.to_thread(main, ["move", "--to", there]) == 0
    said = capsys.readouterr()
    assert f"{ROWS} stories, {ROWS * len(TABLES)} rows, each compared" in said.out
    assert "password" not in said.out
    monkeypatch.setenv("KATARIBE_DATABASE__URL", there)
    assert await asyncio.to_thread(main, ["move", "--to", url_of(back)]) == 0
    assert dumped(back) == dumped(file)
    assert back.stat().st_mode & 0o077 == 0
    for url in (there, url_of(back)):
        async with open_database(url) as database:
            # No number is given twice, and what can be found again is found.
            story = await queue_of(database).enqueue(wish(member=99, guild_id=99))
            assert story.id == 10 * ROWS + 1
            async with database.sessions.begin() as session:
                for table in TABLES:
                    if table.autoincrement_column is not None and table.name != "stories":
                        row = {c.name: value(c, ROWS + 1) for c in table.c if c.name != "id"}
                        row |= {"story_id": story.id} if "story_id" in table.c else {}
                        (number,) = table.primary_key
                        given = insert(table).values(row).returning(number)
                        assert await session.scalar(given) == ROWS + 1
            place = LARGEST - FOUND
            viewer = Viewer(place, 1, frozenset({place}))
            found = await Browsing(database.sessions).search(viewer, "1990", 1)
            assert [one.id for one in found.stories] == [FOUND]


async def blocked(database: Database) -> None:
    """Until somebody waits for a table."""
    waits = text(
        "SELECT count(*) FROM pg_locks, pg_sleep(0.05) WHERE NOT granted AND locktype = 'relation'"
    )
    async with asyncio.timeout(60):
        while not await count(database, waits):
            pass


async def count(database: Database, statement: Any) -> int:
    async with database.engine.connect() as connection:
        return int(await connection.scalar(statement) or 0)


@pytest.mark.usefixtures("file")
async def test_it_goes_on_after_it_was_stopped_or_killed(there: str, capsys: Said) -> None:
    async def started() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "move", "--to", there),
            env={**os.environ},
            stderr=asyncio.subprocess.PIPE,
            # Where tests run in the background, what they start ignores it.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )

    async with open_database(there) as database:
        written = "SELECT sum(xmin::text::bigint) FROM stories"
        # A bot's own connection would be given up when two programs take long to start.
        async with open_engine(there) as patient, patient.connect() as holds:
            # It comes as far as the stars, which follow the stories.
            await holds.execute(text("LOCK TABLE ratings IN EXCLUSIVE MODE"))
            process = await started()
            await blocked(database)
            process.send_signal(signal.SIGINT)
            _, said = await process.communicate()
            assert process.returncode == 130
            assert said.decode().strip() == "Stopped: the same command does it"
            first = await count(database, text(written))
            process = await started()
            await blocked(database)
            process.kill()
            await process.wait()
        with pytest.raises(DatabaseError, match="is half moved"):
            async with open_database(there):
                pass
        assert await count(database, select(func.count()).select_from(TABLES[-1])) == 0
        async with asyncio.timeout(60):
            # The server needs a moment to see that its client is gone.
            while await asyncio.to_thread(main, ["move", "--to", there]):
                assert "Another bot is running" in capsys.readouterr().err
        assert await count(database, text(written)) == first  # none was written anew
    async with open_database(there) as database:
        for table in TABLES:
            assert await count(database, select(func.count()).select_from(table)) == ROWS


async def test_rows_of_another_database_are_noticed_and_stay(
    file: Path, there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with migrated_database(there) as database:
        await fill(database, 3)
        with pytest.raises(DatabaseError, match="is a database in use: name an empty one"):
            await moved(url_of(file), there)
        for table in reversed(TABLES):
            async with database.engine.begin() as connection:
                await connection.execute(table.delete())
        # As a move leaves it that was stopped on the way.
        monkeypatch.setattr(Transfer, "_write", _nothing)
        with pytest.raises(DatabaseError, match=r"Row .* is not the same"):
            await moved(url_of(file), there)
        monkeypatch.undo()
        async with database.engine.begin() as connection:
            audit = next(table for table in TABLES if table.name == "audit")
            await connection.execute(
                insert(audit).values({c.name: value(c, 6) for c in audit.c} | {"id": 2})
            )
        with pytest.raises(DatabaseError, match="Row 1 of audit is not the same") as raised:
            await moved(url_of(file), there)
        assert "\n" not in str(raised.value)
        assert "password" not in str(raised.value)
        assert await count(database, select(func.count()).select_from(audit)) == 1
    other = tmp_path / "other.db"
    async with migrated_database(url_of(other)) as database:
        await fill(database, 2)
    with pytest.raises(DatabaseError, match="in use"):
        await moved(url_of(file), url_of(other))


async def _nothing(*_: object) -> None:
    """Write nothing."""


async def test_a_text_that_postgresql_refuses_is_named_and_moved_as_the_host_says(
    file: Path, there: str
) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE stories SET text = 'a' || char(0) || 'b' WHERE id = 17")
    with pytest.raises(DatabaseError, match="Row 17 of stories has the character NUL in text"):
        await moved(url_of(file), there)
    counts = await moved(url_of(file), there, replace_nul=True)
    assert set(counts.values()) == {ROWS}
    async with open_database(there) as database, database.sessions() as session:
        kept = await session.scalar(text("SELECT text FROM stories WHERE id = 17"))
    assert kept == "a\N{REPLACEMENT CHARACTER}b"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE stories SET text = 'ab', model = hex(zeroblob(99))")
    with pytest.raises(DatabaseError, match=r"Row 1 of stories cannot be kept in .*too long"):
        await moved(url_of(file), await _empty(there))


async def _empty(url: str) -> str:
    engine = make_engine(url)
    async with engine.begin() as connection:
        schema = engine.url.username
        await connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        await connection.execute(text(f"CREATE SCHEMA {schema}"))
    await engine.dispose()
    return url


@pytest.mark.usefixtures("file")
async def test_who_did_not_see_the_end_hears_it_again(there: str, capsys: Said) -> None:
    async def said() -> tuple[int, str]:
        status = await asyncio.to_thread(main, ["move", "--to", there])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    first = await said()
    assert first[0] == 0
    async with open_database(there) as database:
        written = text("SELECT sum(xmin::text::bigint) FROM stories")
        before = await count(database, written)
        assert await said() == first
        assert await count(database, written) == before
        async with database.engine.begin() as connection:
            await connection.execute(text("UPDATE stories SET stars = stars + 1 WHERE id = 9"))
    status, line = await said()
    assert status == 1
    assert "is a database in use: name an empty one" in line


async def test_what_cannot_be_moved_leaves_nothing_behind(
    file: Path, there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    there_too = tmp_path / "there.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0005'")
    assert await asyncio.to_thread(main, ["move", "--to", url_of(there_too)]) == 1
    monkeypatch.setenv("KATARIBE_DATABASE__URL", there)
    assert await asyncio.to_thread(main, ["move", "--to", url_of(there_too)]) == 1
    left = await asyncio.to_thread(os.listdir, tmp_path)
    assert not [name for name in left if name.startswith(there_too.name)]
    there_too.write_text("no database")
    there_too.chmod(0o644)
    monkeypatch.setenv("KATARIBE_DATABASE__URL", url_of(file))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (newest_revision(),))
    capsys.readouterr()
    assert await asyncio.to_thread(main, ["move", "--to", url_of(there_too)]) == 1
    assert "file is not a database" in capsys.readouterr().err
    assert there_too.read_text() == "no database"
    assert there_too.stat().st_mode & 0o777 == 0o644


@pytest.mark.usefixtures("file")
async def test_another_programs_tables_are_named_and_stay(there: str, capsys: Said) -> None:
    async with open_engine(there) as engine, engine.begin() as connection:
        await connection.execute(text("CREATE TABLE stories (id int)"))
    assert await asyncio.to_thread(main, ["move", "--to", there]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "another program's (stories): name one that is empty" in line
    with pytest.raises(DatabaseError, match=r"another program's \(stories\)"):
        async with open_database(there):
            pass


async def test_what_cannot_be_moved_is_one_sentence(
    file: Path, there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    async def refused(to: str) -> str:
        assert await asyncio.to_thread(main, ["move", "--to", to]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "names the database that is to be moved" in await refused(url_of(file))
    assert "cannot be opened" in await refused("postgresql+asyncpg://u:p@127.0.0.1:1/k")
    assert "in memory" in await refused("sqlite+aiosqlite://")
    for held in (url_of(file), there):
        async with sole_user(held):
            assert "Another bot is running" in await refused(there)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0005'")
    assert "start the bot on it once" in await refused(there)
    monkeypatch.setenv("KATARIBE_DATABASE__URL", there)
    assert "There is nothing of Kataribe's" in await refused(url_of(tmp_path / "new.db"))
    monkeypatch.setenv("KATARIBE_DATABASE__URL", url_of(tmp_path / "nowhere.db"))
    assert "There is no database yet" in await refused(there)
    for wrong in ("mysql://user:hidden@host/name", "postgresql+asyncpg://user:hidden@host:x/name"):
        with pytest.raises(SystemExit) as ended:
            main(["move", "--to", wrong])
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert "takes sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER" in said
        assert "hidden" not in said


async def test_the_hosts_page_says_how(
    file: Path, there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    page = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
    command = r"^(?:KATARIBE_DATABASE__URL=(\S+) )?\S+ -m bot (move --to \S+)"
    lines = re.findall(command, page, re.MULTILINE)
    given = {
        "postgresql+asyncpg://user:password@host/name": there,
        "sqlite+aiosqlite:///kataribe.db": url_of(tmp_path / "back.db"),
    }
    assert len(lines) == 2
    for here, typed in lines:
        if here:
            monkeypatch.setenv("KATARIBE_DATABASE__URL", given[here])
        *words, url = typed.split()
        assert await asyncio.to_thread(main, [*words, given[url]]) == 0, capsys.readouterr().err
    assert dumped(tmp_path / "back.db") == dumped(file)
