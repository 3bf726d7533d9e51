"""Stories of the starters in a file: `python -m tests.bot.safety.stories FILE [COUNT]`.

COUNT of each model (1,000 unless it is said), told by our own generator from the house's openings
with the bot's own settings; one JSON object a line. `tests.bot.safety.figures` judges them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bot.config import Settings
from bot.database.tables import Story
from bot.openings import OPENINGS
from bot.worker.completions import Completions
from bot.worker.generator_process import GeneratorProcess
from tests.bot.teller import MODELS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOGETHER = 16
"""Stories that are told at the same time."""


async def stories(count: int) -> AsyncIterator[dict[str, str]]:
    """So many of each starter, seeds 0, 1, 2 … and one opening after the other."""
    settings = Settings()
    completions = Completions(None, settings.stories, request_timeout=600)
    up = asyncio.Event()

    def moved(url: str | None) -> None:
        completions.url = url
        if url is not None:
            up.set()

    room = asyncio.Semaphore(TOGETHER)

    async def tell(model: str, seed: int) -> dict[str, str]:
        story = Story(id=0, model=model, seed=seed)
        prompt = OPENINGS[seed % len(OPENINGS)]
        async with room:
            text = "".join([piece.text async for piece in completions.tell(story, prompt)])
        return {"model": model, "prompt": prompt, "text": text}

    generator = asyncio.create_task(GeneratorProcess(moved, start_timeout=600).run())
    try:
        async with completions:
            await up.wait()
            telling = [tell(model, seed) for model in MODELS for seed in range(count)]
            for told in asyncio.as_completed(telling):
                yield await told
    finally:
        generator.cancel()
        await asyncio.wait([generator])


async def main(file: Path, count: int) -> None:
    """Write them down as they are told."""
    with file.open("w", encoding="utf-8") as lines:
        async for story in stories(count):
            lines.write(json.dumps(story, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 1000))
