"""`python -m bot backup` and `restore`: a database into a file, and back."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bot.database import DatabaseError
from bot.database.connection import sqlite_file
from bot.database.copies import copy_database, look_at, put_in_place
from bot.database.lock import sole_user
from bot.hosting.progress import show_progress

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.database.copies import Contents

_MEGABYTE = 1e6


def backup(settings: Settings, target: str | None) -> str:
    """Copy the database, also of a bot that runs, and read the copy; gives what to say of it.

    Args:
        settings: The bot's.
        target: A file that is not there yet, or a folder, which it is if a slash ends its name;
            None: beside the database.

    Raises:
        DatabaseError: There is no copy.
    """
    file = _file(settings, "pg_dump")
    if not file.exists():
        raise DatabaseError(f"There is no database yet at {file}")
    name = f"{file.name}.backup-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    copy = Path(target) if target else file.with_name(name)
    if copy.is_dir():
        copy /= name
    elif target and target.endswith("/"):
        # As where the disk that belongs there is not mounted.
        raise DatabaseError(f"There is no folder {target}: make it, or mount what belongs there")
    if copy.exists():
        raise DatabaseError(f"{copy} exists: name a file that does not")
    copy_database(file, copy, show_progress)
    try:
        found = look_at(copy)
    except DatabaseError as error:
        copy.unlink(missing_ok=True)  # nobody shall take it for a backup
        raise DatabaseError(f"{file} cannot be backed up: {error}") from error
    return f"{copy}: {_described(found)}; read again, and sound"


def restore(settings: Settings, source: Path) -> str:
    """Put a backup in the place of the database, which is kept; gives what to say of it.

    Raises:
        DatabaseError: The backup is damaged, or a bot is running: nothing was changed.
    """
    file = _file(settings, "psql or pg_restore")
    found = look_at(source)

    async def replace() -> Path | None:
        async with sole_user(settings.database.url):
            return await asyncio.to_thread(put_in_place, source, file, show_progress)

    kept = asyncio.run(replace())
    was = f"; what was there is {kept}" if kept else ""
    return f"{file} is now {source}: {_described(found)}{was}"


def _file(settings: Settings, tool: str) -> Path:
    file = sqlite_file(settings.database.url)
    if file is None:
        raise DatabaseError(f"[database] url names no file: for PostgreSQL use {tool}")
    return file.resolve()


def _described(found: Contents) -> str:
    return f"{found.stories:,} stories, {found.size / _MEGABYTE:.1f} MB, revision {found.revision}"
