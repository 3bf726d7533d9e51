"""Copies of a SQLite file: made while others read and write it, and looked at before use."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.database.errors import DatabaseError
from bot.database.revisions import why_not

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_AT_ONCE = 4096
"""Pages between two looks at how far a copy has come."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database was found to hold."""

    revision: str
    stories: int
    size: int
    """Bytes of the file."""


def copy_database(
    file: Path, copy: Path, progress: Callable[[int, int], None] | None = None
) -> None:
    """Copy a database as it is now, whoever works on it; nobody else may read the copy.

    The copy appears under its name when it is whole. A file of that name is written over.

    Args:
        file: The database.
        copy: Where the copy shall be.
        progress: Told the pages that are copied, and how many there are.

    Raises:
        DatabaseError: It cannot be read, or the copy cannot be written.
    """
    half = copy.with_name(f"{copy.name}.part")

    def report(_status: int, remaining: int, total: int) -> None:
        if progress is not None:
            progress(total - remaining, total)

    try:
        half.unlink(missing_ok=True)
        os.close(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(_readable(file)) as source, closing(sqlite3.connect(half)) as target:
            # One view of the whole: without it SQLite begins anew after each write of the bot's.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            source.backup(target, pages=_AT_ONCE, progress=report)
            # A file that is moved about is one file.
            target.execute("PRAGMA journal_mode = DELETE")
        half.replace(copy)
        _to_disk(copy)
    except (sqlite3.Error, OSError) as error:
        half.unlink(missing_ok=True)
        raise DatabaseError(f"{file} cannot be copied to {copy}: {error}") from error
    except BaseException:
        half.unlink(missing_ok=True)  # stopped in the middle
        raise


def look_at(file: Path) -> Contents:
    """Read a database from end to end; nothing is changed.

    Raises:
        DatabaseError: It is damaged, none of ours, or written by a newer Kataribe.
    """
    try:
        if not file.is_file():
            found = "a folder" if file.is_dir() else "not there"
            raise DatabaseError(f"{file} is {found}: name a file that `backup` made")
        with closing(_readable(file)) as connection:
            (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if said != "ok":
                raise DatabaseError(f"{file} is damaged: {said}")
            if lost := connection.execute("PRAGMA foreign_key_check").fetchone():
                raise DatabaseError(f"{file} is damaged: a row of {lost[0]} refers to none")
            (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            (stories,) = connection.execute("SELECT count(*) FROM stories").fetchone()
            # The file alone is less while a bot runs: what it wrote last stands beside it.
            (size,) = connection.execute(
                "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
            ).fetchone()
    except (sqlite3.Error, TypeError) as error:
        raise DatabaseError(f"{file} is no database of Kataribe's: {error}") from error
    except OSError as error:
        raise DatabaseError(f"{file} cannot be read: {error.strerror}") from error
    if why := why_not(revision):
        raise DatabaseError(f"{file} {why}")
    return Contents(revision, stories, size)


def put_in_place(
    copy: Path, file: Path, progress: Callable[[int, int], None] | None = None
) -> Path | None:
    """Let a copy be the database; gives where the old one is now, None if there was none.

    At no moment is there no database. Nobody may have it open. `progress`: see `copy_database`.

    Raises:
        DatabaseError: A file cannot be moved.
    """
    kept = _free_name(file)
    half = file.with_name(f"{file.name}.part")
    copy_database(copy, half, progress)
    try:
        there = file.exists()
        if there:
            os.link(file, kept)
        # The last commits of a bot that was killed are in the log, which goes with its database.
        for end in ("-wal", "-shm"):
            companion = file.with_name(f"{file.name}{end}")
            if companion.exists():
                companion.replace(kept.with_name(f"{kept.name}{end}"))
        half.replace(file)
        _to_disk(file)
    except OSError as error:
        raise DatabaseError(f"{file} cannot be replaced: {error}") from error
    finally:
        half.unlink(missing_ok=True)
    return kept if there else None


def _readable(file: Path) -> sqlite3.Connection:
    """Open for reading alone; a file that is not there is an error instead of a new one."""
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)


def _free_name(file: Path) -> Path:
    number = 1
    while (name := file.with_name(f"{file.name}.replaced-{number}")).exists():
        number += 1
    return name


def _to_disk(file: Path) -> None:
    """Have a file and its name survive a power cut."""
    for path in (file, file.parent):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
