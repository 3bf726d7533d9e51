"""The channel on disk: one JSON line for each change, so a kill loses nothing that was answered.

A line is written before the request that caused it is answered. Opening reads the lines, the
last one about a thing wins, and writes them back without the history.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bot.playground.errors import Json, PlaygroundError
from bot.playground.messages import Change, Message

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

    from bot.playground.commands import Commands
    from bot.playground.messages import Messages
    from bot.playground.world import World

_log = logging.getLogger(__name__)

_LINES_BEFORE_REWRITE = 20_000


class Journal:
    """Keeps messages and registered commands in a file."""

    def __init__(self, path: Path, world: World, messages: Messages, commands: Commands) -> None:
        self._path = path
        self._world = world
        self._messages = messages
        self._commands = commands
        self._file: TextIO | None = None
        self._lines = 0

    def open(self) -> None:
        """Bring back what an earlier run left, then follow every change.

        Raises:
            PlaygroundError: the file cannot be read or written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists():
                self._read()
            self._rewrite()
        except OSError as error:
            raise PlaygroundError(
                f"The playground cannot keep its channel in {self._path}: {error.strerror}."
            ) from error
        self._messages.listeners.append(self._message_changed)
        self._commands.listeners.append(self._commands_changed)

    def close(self) -> None:
        """Write the file once more without its history, and let go of it."""
        if self._file is not None:
            self._rewrite()
            self._file.close()
            self._file = None

    def _read(self) -> None:
        # A file's own lines: splitlines() would also cut a message at U+2028 or U+0085.
        with self._path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    self._replay(json.loads(line))
                except (ValueError, KeyError, TypeError):
                    # A kill in the middle of a write leaves half a line; the rest is still good.
                    _log.warning("%s line %d is damaged and left out", self._path, number)

    def _replay(self, entry: Json) -> None:
        match entry:
            case {"message": fields}:
                author = self._world.members[fields.pop("author")].user
                mentions = [self._world.members[id_].user for id_ in fields.pop("mentions")]
                self._messages.restore(Message(**fields, author=author, mentions=mentions))
            case {"deleted": [channel_id, message_id]}:
                self._messages.forget(channel_id, message_id)
            case {"commands": list(commands) | {"global": list(commands)}}:  # once by scope
                self._commands.restore(commands)
            case _:
                raise ValueError(entry)

    def _rewrite(self) -> None:
        if self._file is not None:
            self._file.close()
        fresh = self._path.with_name(f"{self._path.name}.new")
        with open(fresh, "w", encoding="utf-8", opener=_private) as file:
            entries: list[Json] = [{"commands": self._commands.registered()}]
            entries += [
                {"message": _fields(message)}
                for channel_id in self._world.channels
                for message in self._messages.history(channel_id)
            ]
            file.writelines(_line(entry) for entry in entries)
        fresh.replace(self._path)
        self._lines = len(entries)
        self._file = self._path.open("a", encoding="utf-8")

    def _append(self, entry: Json) -> None:
        if self._file is None:
            return
        self._file.write(_line(entry))
        self._file.flush()
        self._lines += 1
        if self._lines > _LINES_BEFORE_REWRITE:
            self._rewrite()

    def _message_changed(self, change: Change, message: Message) -> None:
        if message.visible_to is not None:
            return  # an ephemeral message is gone with the client that saw it
        if change is Change.DELETED:
            self._append({"deleted": [message.channel_id, message.id]})
        else:
            self._append({"message": _fields(message)})

    def _commands_changed(self) -> None:
        self._append({"commands": self._commands.registered()})


def _fields(message: Message) -> dict[str, Any]:
    fields = asdict(message)
    fields["author"] = message.author.id
    fields["mentions"] = [user.id for user in message.mentions]
    return fields


def _private(path: str, flags: int) -> int:
    """Open for its owner only: it holds what members said."""
    return os.open(path, flags, 0o600)


def _line(entry: Json) -> str:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n"
