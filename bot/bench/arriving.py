"""Members who ask for stories at moments of their own, and how each story comes to them."""

from __future__ import annotations

import asyncio
import itertools
import random
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bot.bench.acts import Typed, beginning
from bot.bench.crowd import crowd
from bot.bench.figures import percentile, show_progress
from bot.bench.flood import limits_of
from bot.bench.running import BenchError
from bot.bench.waiting import has_words
from bot.playground.messages import Change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.bench.crowd import Crowd
    from bot.playground.messages import Message

MEMBERS = 100
"""Who ask, in turns."""
WAITING = 10_000
"""Stories that may wait: nobody is refused for want of a place."""
REFUSED = 0.1
"""Of the wishes, those that may be refused because too many ask at that moment."""
TOLD_WITHIN = 300.0
"""Seconds without a story's end after which none is waited for."""


@dataclass(slots=True)
class Arrival:
    """One story on its way; moments are seconds since the first was asked for."""

    asked: float
    words_at: float | None = None
    """When its first words stood in the channel."""
    over_at: float | None = None
    """When its last word did."""
    ended_after: float = 0.0
    """Seconds from its row's first to its being told, which may be long before it is shown."""
    edits: int = 0
    tokens: int = 0
    words: int = 0


def moments(per_minute: float, seconds: float, seed: int) -> list[float]:
    """When stories are asked for: independently of each other, so many a minute on average."""
    draw = random.Random(seed)
    gaps = iter(lambda: draw.expovariate(per_minute / 60), None)
    return list(itertools.takewhile(lambda at: at < seconds, itertools.accumulate(gaps)))


async def arrive(per_minute: float, seconds: float) -> dict[str, object]:
    """Ask, print a table, and give the figures.

    Raises:
        BenchError: The bot did not start, or refused too many.
        TimeoutError: It told nothing for a long time.
    """
    arrivals, cpu = await tell(moments(per_minute, seconds, seed=1))
    figures = figures_of(arrivals)
    if cpu is not None:
        figures["bot_cpu_per_story"] = round(cpu / len(arrivals), 4)
    print(f"{per_minute:g} /story a minute for {seconds:g} s; seconds")
    for name, value in figures.items():
        print(f"{name:20}{value:10.2f}")
    return {"asked_per_minute": per_minute, "seconds": seconds, **figures}


def figures_of(arrivals: Sequence[Arrival]) -> dict[str, float]:
    """What is said of stories that were all told.

    Stories a minute are counted over the middle four fifths of their ends, so that neither the
    first, told alone, nor the last count.
    """
    waits = [story.words_at - story.asked for story in arrivals if story.words_at is not None]
    whole = [story.over_at - story.asked for story in arrivals if story.over_at is not None]
    return {
        "stories": len(whole),
        "stories_per_minute": round(_per_minute([s.over_at for s in arrivals if s.over_at]), 1),
        "first_words_p50": round(percentile(waits, 50), 3),
        "first_words_p95": round(percentile(waits, 95), 3),
        "told_p50": round(percentile(whole, 50), 3),
        "told_p95": round(percentile(whole, 95), 3),
        "edits_per_story": round(sum(story.edits for story in arrivals) / len(arrivals), 2),
        "tokens_per_story": round(sum(story.tokens for story in arrivals) / len(arrivals), 1),
        "words_per_story": round(sum(story.words for story in arrivals) / len(arrivals), 1),
    }


def _per_minute(ends: Sequence[float]) -> float:
    ends = sorted(ends)
    tenth = len(ends) // 10
    middle = ends[tenth : len(ends) - tenth]
    return 60 * (len(middle) - 1) / max(middle[-1] - middle[0], 1e-9)


async def tell(asked: Sequence[float], **settings: str) -> tuple[list[Arrival], float | None]:
    """Have a bot of its own, with its generator, tell stories that are asked for at these moments.

    Gives what became of each, in order, and the seconds of a processor that the bot took for all
    of them (without its generator; None where the system does not say).

    Args:
        asked: Seconds, in order.
        settings: Further ones of the bot's, as `running_bot` takes them.

    Raises:
        BenchError: The bot did not start, or refused too many.
        TimeoutError: It told nothing for a long time.
    """
    with tempfile.TemporaryDirectory(prefix="kataribe-bench-") as folder:
        file = Path(folder) / "arriving.db"
        settings |= {"DATABASE__URL": f"sqlite+aiosqlite:///{file}", **limits_of(WAITING)}
        async with crowd(MEMBERS, **settings) as everybody:
            arrivals, cpu = await _ask(everybody, asked)
        _read_rows(file, arrivals)
    return list(arrivals.values()), cpu


async def _ask(everybody: Crowd, asked: Sequence[float]) -> tuple[dict[str, Arrival], float | None]:
    """Ask at the moments; gives what became of each, by its beginning, and the bot's seconds."""
    story = Typed("story", wish=True)
    # The first story of a process also pays for what is loaded on first use.
    await story.do(everybody, everybody.members[0])
    async with asyncio.timeout(TOLD_WITHIN):
        await everybody.until_told(1)
    everybody.start_anew()
    before = everybody.bot.cpu_seconds()
    arrivals: dict[str, Arrival] = {}
    begun = time.perf_counter()

    def changed(change: Change, message: Message) -> None:
        """Look at the clock at each change of a story's message."""
        page = str(message.embeds[0].get("description", "")) if message.embeds else ""
        prompt = page.partition("**")[2].partition("**")[0]
        if (arrival := arrivals.get(prompt)) is None or change is Change.DELETED:
            return
        now = time.perf_counter() - begun
        arrival.edits += change is Change.EDITED
        over = message.id in everybody.told
        if arrival.words_at is None and (over or has_words(page, prompt)):
            arrival.words_at = now
        if arrival.over_at is None and over:
            arrival.over_at = now

    everybody.discord.messages.listeners.append(changed)
    members = itertools.cycle(everybody.members)
    async with asyncio.TaskGroup() as asking:
        for number, moment in enumerate(asked, 2):  # the first was told above
            await asyncio.sleep(max(0.0, begun + moment - time.perf_counter()))
            arrivals[beginning(number)] = Arrival(time.perf_counter() - begun)
            asking.create_task(story.do(everybody, next(members)))
            show_progress(len(arrivals), len(asked), "asked for")
    if (refused := everybody.refused + everybody.unanswered) > REFUSED * len(asked):
        raise BenchError(f"{refused} wishes were refused: this machine does not bear so many")
    for count in range(len(everybody.told), len(asked) - refused + 2):
        async with asyncio.timeout(TOLD_WITHIN):
            await everybody.until_told(count)
    after = everybody.bot.cpu_seconds()
    # Who was refused is not among them.
    arrivals = {prompt: one for prompt, one in arrivals.items() if one.over_at is not None}
    return arrivals, None if before is None or after is None else after - before


def _read_rows(file: Path, arrivals: dict[str, Arrival]) -> None:
    """Learn from the bot's own rows how long each story is."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as rows:
        for prompt, tokens, text, days in rows.execute(
            "SELECT prompt, tokens, text, julianday(ended_at) - julianday(asked_at) FROM stories"
        ):
            if (arrival := arrivals.get(prompt)) is not None:
                arrival.tokens, arrival.words = tokens, len(text.split())
                arrival.ended_after = 86_400 * days
