"""What whoever runs Kataribe does at a command line: back up, restore, ask what is wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.database import DatabaseError
from bot.hosting.backup import backup, restore
from bot.hosting.doctor import examine

if TYPE_CHECKING:
    import argparse

    from bot.config import Settings

__all__ = ["COMMANDS", "add_hosting_commands", "main"]

COMMANDS = frozenset({"backup", "restore", "doctor"})

_BACKUP = """\
Copies the database as it is at this moment into one file, while the bot runs or not, and reads the
copy from end to end. Only you can read it. A backup holds what members have deleted since: throw
old ones away. (For PostgreSQL use pg_dump.)
"""
_RESTORE = """\
Puts a backup in the place of the database, after it was read from end to end. Stop the bot first.
What was there is kept beside it, as kataribe.db.replaced-1 for example.
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
        "file", nargs="?", type=Path, help="a new file, or a folder (default: beside the database)"
    )
    parser = commands.add_parser("restore", help="put a backup in its place", description=_RESTORE)
    parser.add_argument("file", type=Path, help="what `backup` made")
    parser = commands.add_parser("doctor", help="say what is wrong", description=_DOCTOR)
    parser.add_argument("--json", action="store_true", help="one JSON object, for a program")


def main(given: argparse.Namespace, settings: Settings) -> int:
    """Do what was asked for; gives the exit status."""
    if given.command == "doctor":
        return examine(settings, given.config, as_json=given.json)
    try:
        done = (
            backup(settings, given.file)
            if given.command == "backup"
            else restore(settings, given.file)
        )
    except DatabaseError as error:
        print(error, file=sys.stderr)
        return 1
    print(done)
    return 0
