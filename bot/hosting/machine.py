"""The doctor's look at this machine: versions, the database and its disk, who tells."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import stat
import sys
import time
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from bot.database import DatabaseError
from bot.database.connection import make_engine, open_engine, open_pooler, sqlite_file
from bot.database.copies import look_at
from bot.database.errors import cause
from bot.database.lock import is_held
from bot.database.revisions import newest_revision, why_not
from bot.database.server_lock import refuse_a_pooler
from bot.hosting.findings import Finding, ill, note, well
from bot.hosting.processes import bots, replicas
from bot.worker.completions import Completions, GeneratorError
from bot.worker.generator_process import COMMAND, GeneratorStartError, own_generator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from pydantic import SecretStr

    from bot.config import Settings

_PROJECT = Path(__file__).parents[2] / "pyproject.toml"
_ROOM = 200e6
"""Bytes that should be free beside two copies of the database."""
_MEGABYTE = 1e6
_NAMED = 10
"""Models that are named."""
_GENERATORS = ("torch", "transformers", "tokenizers", "safetensors", "prometheus_client")


def versions() -> Iterator[Finding]:
    """Whether what is installed is what this Kataribe was tested with."""
    try:
        project = tomllib.loads(_PROJECT.read_text())["project"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        yield note("versions", f"{_PROJECT} cannot be read: {error}")
        return
    pinned = [*project["dependencies"], *project["optional-dependencies"]["bot"]]
    others = [said for pin in pinned if (said := _another(pin))]
    python = ".".join(map(str, sys.version_info[:3]))
    if others:
        yield note(
            "versions",
            f"Python {python}; not as tested: {', '.join(others)}",
            "make run installs what changed",
        )
    else:
        yield well("versions", f"Python {python}, {len(pinned)} packages as tested")


def _another(pin: str) -> str:
    """What is installed instead of a pinned package; nothing where it is the same."""
    name, _, wanted = pin.partition("==")
    name = name.partition("[")[0]
    try:
        found = version(name)
    except PackageNotFoundError:
        return f"{name} is missing"
    return "" if found == wanted else f"{name} {found} instead of {wanted}"


async def database(settings: Settings) -> AsyncIterator[Finding]:
    """Whether it can be opened, is whole, and has room."""
    file = sqlite_file(settings.database.url)
    if file is None:
        async for finding in _server(settings.database.url):
            yield finding
        if settings.database.pooler:
            yield await _pooler(settings.database.url, settings.database.pooler)
        return
    file = file.resolve()
    if not file.exists():
        yield note("database", f"{file} is not there yet: the first start makes it")
    else:
        yield await asyncio.to_thread(_file, file)
    if is_held(file):
        yield note("bot", "a bot is running on this database")
    if not file.parent.is_dir():
        yield ill("disk", f"{file.parent} is no folder", "make it, or mend [database] url")
        return
    yield _disk(file)


def _file(file: Path) -> Finding:
    try:
        found = look_at(file)
        mode = stat.S_IMODE(file.stat().st_mode)
    except DatabaseError as error:
        return ill(
            "database", str(error), "python -m bot restore BACKUP puts a backup in its place"
        )
    said = f"{file}: {found.stories:,} stories, {found.size / _MEGABYTE:.1f} MB, whole"
    if found.revision != newest_revision():
        return note("database", f"{said}; revision {found.revision} is migrated at the next start")
    if mode & 0o077:
        return note("database", f"{said}; others may read it", f"chmod 600 {file}")
    return well("database", f"{said}, revision {found.revision}")


async def _server(url: str) -> AsyncIterator[Finding]:
    try:
        engine = make_engine(url)
    except DatabaseError as error:
        yield ill("database", str(error), "install with the extra postgresql")
        return
    try:
        async with asyncio.timeout(10), engine.connect() as connection:
            await refuse_a_pooler(connection, engine)
            said = str(await connection.scalar(text("SHOW server_version")))
            there = await connection.scalar(text("SELECT to_regclass('alembic_version')::text"))
            revision = there and await connection.scalar(
                text("SELECT version_num FROM alembic_version")
            )
            found = [_revision(f"PostgreSQL {said}", revision), *await bots(connection)]
    except DatabaseError as error:
        what, _, advice = str(error).partition(": ")
        found = [ill("database", what, advice)]
    except (SQLAlchemyError, OSError) as error:
        advice = "mend [database] url, or start the server"
        found = [ill("database", f"PostgreSQL: {cause(error)}", advice)]
    finally:
        await engine.dispose()
    for finding in found:
        yield finding


def _revision(server: str, revision: str | None) -> Finding:
    if revision is None:
        return note("database", f"{server}: empty, the first start fills it")
    if why := why_not(revision):
        what, _, advice = why.partition(": ")
        return ill("database", f"{server}: it {what}", advice)
    return well("database", f"{server}, revision {revision}")


async def _pooler(url: str, pooler: str) -> Finding:
    try:
        async with asyncio.timeout(10), open_engine(url) as direct, open_pooler(pooler, direct):
            pass
    except (DatabaseError, TimeoutError) as error:
        return ill("pooler", str(error) or "no answer", "mend [database] pooler, or start it")
    return well("pooler", "leads to the same database")


def _disk(file: Path) -> Finding:
    free = shutil.disk_usage(file.parent).free
    needed = _ROOM + 2 * (file.stat().st_size if file.exists() else 0)
    said = f"{free / 1e9:.1f} GB free beside the database"
    if free < needed:
        return ill("disk", said, f"make room: a copy and what comes need {needed / 1e6:.0f} MB")
    return well("disk", said)


async def generator(
    settings: Settings, config: Path | None, *, bot_runs: bool
) -> AsyncIterator[Finding]:
    """Whether there is somebody who tells, and the model that the host chose."""
    servers = {name: (server.url, server.api_key) for name, server in settings.models.items()}
    if url := settings.generator.url:
        servers["generator"] = url, settings.generator.api_key
    for name, (url, key) in servers.items():
        async for finding in _served(name, url, settings, f"{name}, {url},", key):
            yield finding
    if not settings.generator.url and not bot_runs:
        async for finding in _own(settings, config):
            yield finding


async def _served(
    name: str, url: str, settings: Settings, said: str, key: SecretStr | None = None
) -> AsyncIterator[Finding]:
    asked = Completions(url, settings.stories, request_timeout=10.0, api_key=key)
    try:
        async with asked as completions:
            served = await completions.served()
            answering = await _answering(completions)
    except (GeneratorError, aiohttp.ClientError, OSError) as error:
        yield ill("generator", f"{said} cannot be asked: {error}", "start it; mend its url or key")
        return
    wanted = settings.stories.model if name == "generator" else ""
    if wanted and wanted.casefold() not in {one.casefold() for one in served}:
        there = ", ".join(served[:_NAMED]) or "none"
        yield ill(
            "generator",
            f"{said} has no {wanted!r}; it has {there}",
            "name one of them as [stories] model, or put its folder there",
        )
    else:
        yield well("generator", f"{said} has {len(served)} models")
    for finding in replicas(answering):
        yield finding


async def _answering(completions: Completions) -> Mapping[str, bool]:
    """Whether each replica answers; none where a server measures nothing, or is but one."""
    try:
        return (await completions.gauges()).replicas
    except GeneratorError:
        return {}


async def _own(settings: Settings, config: Path | None) -> AsyncIterator[Finding]:
    """Start our own for a moment: nothing else shows so well whether it can."""
    missing = [name for name in _GENERATORS if importlib.util.find_spec(name) is None]
    if missing:
        yield ill(
            "generator",
            f"our own cannot start: {', '.join(missing)} is not installed",
            "make run installs it; or name another server as [generator] url",
        )
        return
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        yield note(
            "generator",
            "without a C++ compiler our own tells several times slower",
            "apt install g++, or xcode-select --install",
        )
    print("Starting a generator to see whether it tells ...", file=sys.stderr, flush=True)
    began = time.monotonic()
    try:
        command = [*COMMAND, *(["--config", str(config)] if config else [])]
        timeout = settings.generator.start_timeout
        async with own_generator(command, start_timeout=timeout) as url:
            took = time.monotonic() - began
            said = f"our own, ready after {took:.0f} s,"
            async for finding in _served("generator", url, settings, said):
                yield finding
    except GeneratorStartError as error:
        yield ill("generator", f"our own does not start: {error}", "mend what it names")
