"""What whoever runs Kataribe does at a command line: back up, move, ask what is wrong."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.config import DATABASE_URLS, database_url
from bot.database import DatabaseError
from bot.hosting.backup import backup, restore
from bot.hosting.doctor import examine
from bot.hosting.move import move

if TYPE_CHECKING:
    from bot.config import Settings

__all__ = ["COMMANDS", "add_hosting_commands", "main"]

COMMANDS = frozenset({"backup", "restore", "move", "doctor"})

_BACKUP = """\
Copies the database as it is at this moment into one file, while the bot runs or not, and reads the
copy from end to end. Only you can read it. A backup holds what members have deleted since: throw
old ones away. (For PostgreSQL use pg_dump.)
"""
_RESTORE = """\
Puts a backup in the place of the database, after it was read from end to end. Stop the bot first.
What was there is kept beside it, as kataribe.db.replaced-1 for example.
"""
_MOVE = """\
Copies all that the database of the settings holds into an empty one, SQLite's or PostgreSQL's, and
compares every row. Stop the bot first. Stop the command with Ctrl-C, or let the power fail: the
same command goes on, and no bot takes what is half moved. What there was stays as it is.
"""
_DOCTOR = """\
Looks at everything that the bot needs, and says for each what to do if it is not well: packages,
database, disk, token, intents, permissions in every server, clock, the generator and its models.
Nothing is changed. Exit status: 0 all is well, 1 something has to be mended, 2 wrong settings.
"""


def add_hosting_commands(commands: argparse._SubParsersAction[Any]) -> None:
    """Describe them on the command line."""
    parser = commands.add_parser("backup", help="copy the database", description=_BACKUP)
    parser.add_argument(
        "file", nargs="?", help="a new file, or a folder (default: beside the database)"
    )
    parser = commands.add_parser("restore", help="put a backup in its place", description=_RESTORE)
    parser.add_argument("file", type=Path, help="what `backup` made")
    parser = commands.add_parser("move", help="into another database", description=_MOVE)
    parser.add_argument(
        "--to", metavar="URL", required=True, type=_url, help="where, as [database] url has it"
    )
    parser.add_argument(
        "--replace-nul",
        action="store_true",
        help="write U+FFFD where a text has the character NUL, which PostgreSQL refuses",
    )
    parser = commands.add_parser("doctor", help="say what is wrong", description=_DOCTOR)
    parser.add_argument("--json", action="store_true", help="one JSON object, for a program")


def main(given: argparse.Namespace, settings: Settings) -> int:
    """Do what was asked for; gives the exit status."""
    if given.command == "doctor":
        return examine(settings, given.config, as_json=given.json)
    try:
        print(_done(given, settings))
    except DatabaseError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped: the same command does it", file=sys.stderr)
        return 130
    return 0


def _done(given: argparse.Namespace, settings: Settings) -> str:
    if given.command == "backup":
        return backup(settings, given.file)
    if given.command == "restore":
        return restore(settings, given.file)
    return move(settings, given.to, replace_nul=given.replace_nul)


def _url(text: str) -> str:
    try:
        return database_url(text)
    except ValueError as error:
        # Not what was typed: there may be a password in it.
        raise argparse.ArgumentTypeError(f"it takes {DATABASE_URLS}") from error
