"""`python -m bot move`: all that one database holds into another, SQLite's or PostgreSQL's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from bot.database import DatabaseError
from bot.database.connection import open_engine, sqlite_file, without_password
from bot.database.copies import look_at
from bot.database.errors import cause
from bot.database.lock import sole_user
from bot.database.transfer import Transfer, check_source
from bot.hosting.progress import show_progress

if TYPE_CHECKING:
    from bot.config import Settings


def move(settings: Settings, to: str, *, replace_nul: bool) -> str:
    """Copy all rows, and compare them; gives what to say of it. What there was is not changed.

    Args:
        settings: The bot's, whose database is moved.
        to: The URL of the other.
        replace_nul: See `Transfer`.

    Raises:
        DatabaseError: Not all is there; what is stays, and the same command goes on.
    """
    return asyncio.run(_moved(settings.database.url, to, replace_nul))


async def _moved(here: str, there: str, replace_nul: bool) -> str:
    await asyncio.to_thread(_refuse, here, there)
    async with sole_user(here), open_engine(here) as source:
        try:
            # Before the other is touched: a command that is refused leaves nothing behind there.
            await check_source(source)
            async with sole_user(there), open_engine(there) as target:
                counts = await Transfer(source, target, show_progress, replace_nul).run()
        except (SQLAlchemyError, OSError) as error:
            raise DatabaseError(
                "Not all is moved, and once that is mended the same command goes on: "
                f"{cause(error)}"
            ) from error
        return (
            f"{without_password(target)} has all of {without_password(source)}: "
            f"{counts['stories']:,} stories, {sum(counts.values()):,} rows, each compared. "
            "Give its address as [database] url"
        )


def _refuse(here: str, there: str) -> None:
    """Say what can be said before anything is opened."""
    files = [sqlite_file(url) for url in (here, there)]
    for url, file in zip((here, there), files, strict=True):
        if file is None and make_url(url).get_backend_name() == "sqlite":
            raise DatabaseError("A database in memory cannot be moved: name a file")
    if make_url(here) == make_url(there) or (files[0] and files[0] == files[1]):
        raise DatabaseError("--to names the database that is to be moved: name another")
    if files[0] is not None:
        if not files[0].exists():
            raise DatabaseError(f"There is no database yet at {files[0].resolve()}")
        look_at(files[0])
