"""What a host does at the command line: back up, restore, ask what is wrong."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import stat
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.__main__ import main
from bot.config import Settings
from bot.database import open_database
from bot.database.copies import put_in_place
from bot.database.lock import sole_user
from bot.hosting.discord_side import discord_side
from bot.hosting.findings import State
from bot.hosting.machine import database, generator, versions
from bot.playground import Playground
from bot.playground.world import Permission
from tests.bot.wishes import queue_of, wish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.database import Database
    from bot.hosting.findings import Finding
    from tests.bot.teller import Teller

ROOT = Path(__file__).parents[2]
Said = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The database of the settings; not there yet."""
    file = tmp_path / "kataribe.db"
    monkeypatch.setenv("KATARIBE_DATABASE__URL", url(file))
    monkeypatch.setenv("KATARIBE_LOG__LEVEL", "error")
    return file


def url(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"


@asynccontextmanager
async def with_stories(file: Path, count: int) -> AsyncIterator[Database]:
    async with open_database(url(file)) as opened:
        for member in range(count):
            await queue_of(opened).enqueue(wish(member=member))
        yield opened


def written(file: Path, count: int) -> None:
    async def write() -> None:
        async with with_stories(file, count):
            pass

    asyncio.run(write())


def found(folder: Path, names: str) -> list[Path]:
    return list(folder.glob(names))


def stories(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM stories").fetchone()
    return int(count)


async def test_a_backup_is_made_while_a_bot_writes(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    async with sole_user(url(file)), with_stories(file, 5) as opened:
        # What was just written is in the log beside the file, not in the file itself.
        assert await asyncio.to_thread(main, ["backup", str(target)]) == 0
        await queue_of(opened).enqueue(wish(member=9))
    assert stories(target) == 5
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert not found(tmp_path, "*.part")
    assert not found(tmp_path, "backup.db-*")


def test_a_backup_overwrites_nothing_and_finds_a_name(
    file: Path, tmp_path: Path, capsys: Said
) -> None:
    assert main(["backup"]) == 1
    assert capsys.readouterr().err == f"There is no database yet at {file}\n"
    written(file, 1)
    assert main(["backup", str(file)]) == 1
    assert "exists: name a file that does not" in capsys.readouterr().err
    assert main(["backup"]) == 0
    assert main(["backup", str(tmp_path / "missing" / "b.db")]) == 1
    assert "cannot be copied" in capsys.readouterr().err
    (made,) = tmp_path.glob("kataribe.db.backup-*")
    assert stories(made) == 1
    # As where the disk that belongs there is not mounted.
    assert main(["backup", f"{tmp_path}/nas/"]) == 1
    assert f"There is no folder {tmp_path}/nas/: make it" in capsys.readouterr().err
    assert not found(tmp_path, "nas*")
    (tmp_path / "nas").mkdir()
    assert main(["backup", f"{tmp_path}/nas/"]) == 0
    assert len(found(tmp_path / "nas", "kataribe.db.backup-*")) == 1


def test_a_damaged_database_leaves_nothing_that_looks_like_a_backup(
    file: Path, tmp_path: Path, capsys: Said
) -> None:
    written(file, 1)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("INSERT INTO ratings VALUES (7, 1, 5, 1, '2026-11-27 00:00:00.000000')")
        connection.commit()
    assert main(["backup"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{file} cannot be backed up")
    assert found(tmp_path, "*backup*") == []


def test_a_backup_takes_the_place_of_the_database_which_is_kept(
    file: Path, tmp_path: Path, capsys: Said
) -> None:
    written(file, 2)
    backup = tmp_path / "backup.db"
    assert main(["backup", str(backup)]) == 0
    written(file, 3)
    capsys.readouterr()
    assert main(["restore", str(backup)]) == 0
    kept = tmp_path / "kataribe.db.replaced-1"
    assert str(kept) in capsys.readouterr().out
    assert (stories(file), stories(kept), stories(backup)) == (2, 5, 2)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    written(file, 1)  # the bot goes on with it
    assert main(["restore", str(backup)]) == 0
    assert (stories(file), stories(tmp_path / "kataribe.db.replaced-2")) == (2, 3)


def test_the_last_commits_of_a_killed_bot_are_kept_with_what_is_replaced(
    file: Path, tmp_path: Path
) -> None:
    written(file, 1)
    backup = tmp_path / "backup.db"
    assert main(["backup", str(backup)]) == 0
    left = sqlite3.connect(file)
    left.execute("PRAGMA wal_autocheckpoint = 0")
    left.execute("DELETE FROM stories")
    left.commit()
    # As a kill leaves it: the change is in the log alone.
    log = file.with_name("kataribe.db-wal").read_bytes()
    left.close()
    file.write_bytes(backup.read_bytes())
    with closing(sqlite3.connect(file)) as again:
        again.execute("PRAGMA journal_mode = WAL")
    file.with_name("kataribe.db-wal").write_bytes(log)
    kept = put_in_place(backup, file)
    assert kept is not None
    assert kept.with_name(f"{kept.name}-wal").read_bytes() == log
    assert stories(file) == 1


async def test_nothing_is_replaced_under_a_bot(file: Path, tmp_path: Path, capsys: Said) -> None:
    async with with_stories(file, 1):
        backup = tmp_path / "backup.db"
        assert await asyncio.to_thread(main, ["backup", str(backup)]) == 0
        async with sole_user(url(file)):
            assert await asyncio.to_thread(main, ["restore", str(backup)]) == 1
    assert "Another bot is running" in capsys.readouterr().err
    assert not found(tmp_path, "*.replaced-*")


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "torn", "foreign", "newer"])
def test_what_is_no_sound_backup_is_refused_and_nothing_changes(
    kind: str, file: Path, tmp_path: Path, capsys: Said
) -> None:
    written(file, 4)
    source = tmp_path / "source.db"
    if kind == "text":
        source.write_text("not a database, whatever it is called" * 100)
    elif kind == "torn":
        whole = bytearray(file.read_bytes())
        middle = len(whole) // 2 // 4096 * 4096
        whole[middle:] = b"\xff" * (len(whole) - middle)
        source.write_bytes(whole)
    elif kind == "folder":
        source.mkdir()
    elif kind in {"foreign", "newer"}:
        with closing(sqlite3.connect(source)) as connection:
            connection.execute("CREATE TABLE stories (id INTEGER)")
            if kind == "newer":
                connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
                connection.execute("INSERT INTO alembic_version VALUES ('9999')")
            connection.commit()
    assert main(["restore", str(source)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert str(source) in line
    assert ("name a file" in line) is (kind in {"missing", "folder"})
    assert stories(file) == 4


def told(findings: list[Finding], part: str) -> Finding:
    (found,) = [finding for finding in findings if finding.part == part]
    return found


def test_the_doctor_finds_what_is_installed_as_tested() -> None:
    assert told(list(versions()), "versions").state is State.WELL


async def test_the_doctor_looks_at_the_database(file: Path) -> None:
    async def finding() -> Finding:
        return told([one async for one in database(Settings.load())], "database")

    assert (await finding()).state is State.NOTE  # the first start makes it
    async with with_stories(file, 3):
        found = await finding()
        assert (found.state, "3 stories" in found.said) == (State.WELL, True)
        assert ", 0.0 MB" not in found.said  # what is not in the file yet counts too
    await asyncio.to_thread(file.chmod, 0o644)
    found = await finding()
    assert (found.state, found.advice) == (State.NOTE, f"chmod 600 {file}")
    await asyncio.to_thread(file.write_text, "torn" * 5000)
    found = await finding()
    assert (found.state, "restore" in found.advice) == (State.ILL, True)


async def test_the_doctor_leaves_nothing_behind_and_meets_no_bot_where_none_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def findings(file: Path) -> dict[str, State]:
        monkeypatch.setenv("KATARIBE_DATABASE__URL", url(file))
        return {one.part: one.state async for one in database(Settings.load())}

    # A lock of the doctor's would shut out a bot that runs as another user.
    assert "bot" not in await findings(tmp_path / "kataribe.db")
    assert found(tmp_path, "*") == []
    nowhere = await findings(tmp_path / "missing" / "kataribe.db")
    assert (nowhere["disk"], "bot" in nowhere) == (State.ILL, False)


async def test_the_doctor_asks_the_generator_for_the_hosts_model(
    tells: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KATARIBE_GENERATOR__URL", tells.url)

    async def finding() -> Finding:
        settings = Settings.load()
        return told([one async for one in generator(settings, None, bot_runs=False)], "generator")

    assert (await finding()).state is State.WELL
    tells.models = ("another",)
    found = await finding()
    assert (found.state, "another" in found.said) == (State.ILL, True)
    monkeypatch.setenv("KATARIBE_GENERATOR__URL", "http://127.0.0.1:9")
    assert (await finding()).state is State.ILL


async def test_the_doctor_tries_each_replica_of_a_generator(
    tells: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KATARIBE_GENERATOR__URL", tells.url)
    tells.metrics = "".join(
        f'kataribe_replica_up{{replica="{name}"}} {up}\n' for name, up in (("a", 1.0), ("b", 0.0))
    )
    found = [one async for one in generator(Settings.load(), None, bot_runs=False)]
    assert [(one.state, one.said) for one in found[1:]] == [
        (State.WELL, "replica a answers"),
        (State.ILL, "replica b does not answer"),
    ]


async def test_the_doctor_asks_discord_what_the_bot_may_do(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Playground(port=0) as discord:
        monkeypatch.setenv("KATARIBE_DISCORD__API_URL", discord.api_url)

        async def findings(token: str) -> list[Finding]:
            monkeypatch.setenv("DISCORD_TOKEN", token)
            return [one async for one in discord_side(Settings.load())]

        assert told(await findings("a.wrong.token"), "token").state is State.ILL
        found = await findings(discord.token)
        for part in ("token", "clock", "intents", "gateway", "servers"):
            assert told(found, part).state is State.WELL, told(found, part)
        assert told(found, "gateway").said.startswith("1 shard; ")
        bot = discord.world.members[discord.world.bot.id]
        less = replace(bot, permissions=bot.permissions & ~Permission.EMBED_LINKS)
        monkeypatch.setitem(discord.world.members, bot.user.id, less)
        lacking = told(await findings(discord.token), "servers")
        assert lacking.state is State.ILL
        assert "embed links" in lacking.said


async def test_the_doctor_knows_what_is_not_discord(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response([])

    app = web.Application()
    app.router.add_get("/users/@me", answer)
    async with TestServer(app) as other:
        monkeypatch.setenv("KATARIBE_DISCORD__API_URL", str(other.make_url("")))
        monkeypatch.setenv("DISCORD_TOKEN", "a.b.c")
        (found,) = [one async for one in discord_side(Settings.load())]
    assert (found.part, found.state) == ("discord", State.ILL)


def test_the_doctor_is_read_by_people_and_by_programs(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    monkeypatch.setenv("KATARIBE_GENERATOR__URL", "http://127.0.0.1:9")
    monkeypatch.delenv("DISCORD_TOKEN", raising=False)
    assert main(["doctor"]) == 1
    said = capsys.readouterr()
    assert f"{file} is not there yet" in said.out
    assert "→" in said.out
    assert said.err == "1 to be mended\n"
    assert main(["doctor", "--json"]) == 1
    said_by = json.loads(capsys.readouterr().out)
    assert said_by["ill"] == 1
    assert {one["part"] for one in said_by["findings"] if one["state"] == "ill"} == {"generator"}


def test_a_bot_moves_as_the_hosts_page_says(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    written(file, 3)
    page = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(\S+ -m bot backup moving\.db [^`]+)```", page)
    lines = [line.partition("#")[0].split() for line in block.splitlines()]
    assert [line[:3] for line in lines] == [[".venv/bin/python", "-m", "bot"]] * 3
    here, there, asked = (line[3:] for line in lines)
    monkeypatch.chdir(tmp_path)
    assert main(here) == 0
    (tmp_path / "there").mkdir()
    (tmp_path / "moving.db").rename(tmp_path / "there" / "moving.db")
    monkeypatch.chdir(tmp_path / "there")
    monkeypatch.setenv("KATARIBE_DATABASE__URL", "sqlite+aiosqlite:///kataribe.db")
    assert main(there) == 0
    monkeypatch.setenv("KATARIBE_GENERATOR__URL", "http://127.0.0.1:9")
    assert main(asked) == 1  # nobody tells there yet
    assert "3 stories" in capsys.readouterr().out
    assert stories(tmp_path / "there" / "kataribe.db") == 3
