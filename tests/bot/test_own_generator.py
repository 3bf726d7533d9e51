"""The bot's own generator with a real model: killed in the middle of a story, started again."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from bot.config import Settings
from bot.database.guilds import Guilds
from bot.database.stories import Stories
from bot.database.tables import State, Story
from bot.worker import generator_process
from bot.worker.bell import Bell
from bot.worker.catalogue import Catalogue
from bot.worker.completions import Completions
from bot.worker.dispatcher import Dispatcher
from bot.worker.generator_process import COMMAND, GeneratorProcess
from bot.worker.metrics import Metrics
from bot.worker.screening import Screening
from tests.bot.wishes import queue_of, wish
from tests.generator.small_folders import save_gpt2

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

    from bot.database import Database

PATIENCE = 120.0
STALLING = """
import asyncio, pathlib, sys
from aiohttp import web
from generator.__main__ import main

write, stalled = web.StreamResponse.write, pathlib.Path("stalled")

async def stalling(response, data):
    first = not stalled.exists()
    stalled.touch()  # before anybody reads the words, and kills
    await write(response, data)
    if first:
        await asyncio.Event().wait()

web.StreamResponse.write = stalling
sys.exit(main())
"""
"""The generator, but what the first one writes ends after the first words: it dies mid-story."""


class KillingPresenter:
    """At the first words of the first story it kills the generator."""

    def __init__(self) -> None:
        self.generators: list[asyncio.subprocess.Process] = []
        self.killed = False
        self.endings: asyncio.Queue[Story] = asyncio.Queue()

    def waiting(self, places: Mapping[int, int]) -> None:
        del places

    def began(self, story: Story) -> None:
        del story

    def words(self, story: Story, piece: str) -> None:
        del story, piece
        if not self.killed:
            self.killed = True
            self.generators[-1].kill()

    def broke_off(self, story: Story, *, keep: bool = True) -> str:
        del story, keep
        return ""

    def lost(self, story_id: int) -> None:
        del story_id

    def sure(self, at: float | None) -> None:
        del at

    async def ended(self, story: Story) -> None:
        await self.endings.put(story)


async def test_a_story_is_told_whole_though_the_generator_dies_in_the_middle(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    presenter = KillingPresenter()
    start = asyncio.create_subprocess_exec

    async def watched(*args: Any, **options: Any) -> asyncio.subprocess.Process:
        process = await start(*args, **options)
        presenter.generators.append(process)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
    monkeypatch.setattr(generator_process, "FIRST_PAUSE", 0.01)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(generator_process.__file__).rpartition("/bot/")[0])
    save_gpt2(tmp_path / "models" / "tiny")
    settings = Settings(stories={"max_tokens": 100, "min_tokens": 90})
    queue = queue_of(database)
    stories = Stories(database.sessions)
    async with Completions(None, settings.stories, request_timeout=60) as completions:
        bell = Bell()
        dispatcher = Dispatcher(
            queue,
            stories,
            completions,
            Catalogue(completions),
            presenter,
            bell,
            settings,
            Screening(Guilds(database.sessions)),
            Metrics(),
        )

        def moved(url: str | None) -> None:
            completions.url = url
            dispatcher.resume()

        command = [sys.executable, "-c", STALLING, *COMMAND[COMMAND.index("serve") :]]
        generator = GeneratorProcess(moved, start_timeout=PATIENCE, command=command)
        work = [asyncio.create_task(w) for w in (generator.run(), dispatcher.run())]
        try:
            async with asyncio.timeout(PATIENCE):
                await queue.enqueue(wish(model="tiny", seed=5))
                first = await presenter.endings.get()
                await queue.enqueue(wish(model="tiny", seed=5))
                bell.ring()
                second = await presenter.endings.get()
        finally:
            for task in work:
                task.cancel()
            await asyncio.wait(work)
    assert len(presenter.generators) == 2
    assert all(process.returncode is not None for process in presenter.generators)
    assert (first.state, first.attempts, second.attempts) == (State.TOLD, 2, 1)
    # The same seed tells the same story, so what stood in the channel before stays true.
    assert first.text == second.text
