"""A bot without Discord, as a process to be killed: `python -m tests.bot.storyteller URL DB FILE`.

What it shows goes into FILE, one JSON object a line, in place of a channel.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bot.config import Settings
from bot.database.guilds import Guilds
from bot.database.lock import sole_user
from bot.database.queue import Queue
from bot.database.stories import Stories
from bot.worker.bell import Bell
from bot.worker.catalogue import Catalogue
from bot.worker.completions import Completions
from bot.worker.dispatcher import Dispatcher
from bot.worker.metrics import Metrics
from bot.worker.screening import Screening
from tests.bot.migrated import migrated_database

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.database.tables import Story


@dataclass
class FileChannel:
    """A channel in a file; the end of a story whose prompt is `stuck` never gets there."""

    file: Path
    stuck: str

    def waiting(self, places: Mapping[int, int]) -> None:
        del places

    def began(self, story: Story) -> None:
        self.write(story, began=True)

    def words(self, story: Story, piece: str) -> None:
        self.write(story, piece=piece)

    def broke_off(self, story: Story, *, keep: bool = True) -> str:
        self.write(story, broke_off=True, keep=keep)
        return ""

    def lost(self, story_id: int) -> None:
        del story_id

    def sure(self, at: float | None) -> None:
        del at

    async def ended(self, story: Story) -> None:
        if story.prompt == self.stuck:
            self.write(story, stuck=True)
            await asyncio.Event().wait()
        self.write(story, state=story.state, text=story.text)

    def write(self, story: Story, **what: object) -> None:
        with self.file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"id": story.id, "prompt": story.prompt, **what}) + "\n")


async def main(url: str, database_url: str, file: str, stuck: str) -> None:
    """Tell stories until SIGTERM."""
    settings = Settings()
    async with (
        sole_user(database_url),
        migrated_database(database_url) as database,
        Completions(url, settings.stories, request_timeout=60) as completions,
    ):
        queue = Queue(database.sessions, settings.queue)
        await queue.release_all()
        channel = FileChannel(Path(file), stuck)
        stories = Stories(database.sessions)
        catalogue = Catalogue(completions)
        screening = Screening(Guilds(database.sessions))
        dispatcher = Dispatcher(
            queue, stories, completions, catalogue, channel, Bell(), settings, screening, Metrics()
        )
        work = asyncio.create_task(dispatcher.run())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
        with suppress(asyncio.CancelledError):
            await work


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
