"""How long a member waits, measured as the member sees it.

A bot of its own, with its playground and generator, on a database that is thrown away. The bench
types `/story` as the page would, and reads what every open page is shown.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.bench.figures import ack_figures, show_progress
from bot.bench.running import BenchError, RunningBot, running_bot
from bot.locales import say
from bot.playground.visitor import Visitor, visit

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

TOLD_WITHIN = 300.0


@dataclass(frozen=True, slots=True)
class Waits:
    """What one member waited for one story, in milliseconds since `/story` was sent."""

    acknowledged: float
    first_words: float
    longest_pause: float
    """Between two edits of the story's message."""
    told: float
    words: int


async def wait(model: str, stories: int, together: int) -> dict[str, object]:
    """Measure, print a table, and give the figures.

    Raises:
        BenchError: The bot did not start.
        TimeoutError: No story was told in time.
    """
    begun = time.monotonic()
    waits, rss_mb = await measure(model, stories, together)
    print(f"{stories} stories by {model}, {together} at a time; milliseconds")
    print(f"{'':14}{'median':>8}{'worst':>8}")
    figures: dict[str, object] = {"model": model, "stories": stories, "together": together}
    for name in ("acknowledged", "first_words", "longest_pause", "told"):
        values = [getattr(wait, name) for wait in waits]
        median, worst = statistics.median(values), max(values)
        print(f"{name.replace('_', ' '):14}{median:8.0f}{worst:8.0f}")
        figures |= {f"{name}_ms": round(median, 1), f"{name}_ms_worst": round(worst, 1)}
    figures["words"] = statistics.median(wait.words for wait in waits)
    acknowledged = [wait.acknowledged for wait in waits]
    return figures | ack_figures(acknowledged, stories, time.monotonic() - begun, rss_mb)


async def measure(model: str, stories: int, together: int) -> tuple[list[Waits], float | None]:
    """Ask for the stories, some at a time; gives the waits, and the bot's memory at the end.

    Raises:
        BenchError: The bot did not start, or did not tell.
    """
    with tempfile.TemporaryDirectory(prefix="kataribe-bench-") as folder:
        limits = {"QUEUE__PER_MEMBER": "1000", "QUEUE__PER_SERVER": "1000"}
        async with running_bot(Path(folder), **limits) as bot, _page(bot) as haru:
            # The first story of a process also pays for what is loaded on first use.
            await _ask(haru, "Once before", model)
            waits: list[Waits] = []
            while len(waits) < stories:
                numbers = range(len(waits), min(len(waits) + together, stories))
                prompts = [f"In the year {2100 + number}" for number in numbers]
                waits += await asyncio.gather(*(_ask(haru, prompt, model) for prompt in prompts))
                show_progress(len(waits), stories, "stories told")
            return waits, bot.rss_mb()


def _page(bot: RunningBot) -> AbstractAsyncContextManager[Visitor]:
    """The page that the bot has opened, as a member sees it."""
    address = re.search(r"http://\S+", bot.greeting)
    if address is None:
        raise BenchError(f"the bot named no page: {bot.greeting}")
    return visit(address[0], "haru")


async def _ask(visitor: Visitor, prompt: str, model: str) -> Waits:
    """Ask for a story with a prompt of its own, and look at the clock at each thing that comes."""
    sent = time.perf_counter()
    await visitor.command("story", {"prompt": prompt, "model": model})
    acknowledged = time.perf_counter()
    async with asyncio.timeout(TOLD_WITHIN):
        # A short story may stand there whole before an edit shows its beginning.
        await visitor.until(
            lambda: has_words(page_of(visitor, prompt), prompt) or is_over(visitor, prompt)
        )
        moments = [time.perf_counter()]
        page = page_of(visitor, prompt)

        def over() -> bool:
            """Look at the clock at each edit as well."""
            nonlocal page
            if page != (page := page_of(visitor, prompt)):
                moments.append(time.perf_counter())
            return is_over(visitor, prompt)

        await visitor.until(over)
    return Waits(
        acknowledged=1000 * (acknowledged - sent),
        first_words=1000 * (moments[0] - sent),
        longest_pause=1000 * max((b - a for a, b in pairwise(moments)), default=0.0),
        told=1000 * (time.perf_counter() - sent),
        words=len(page_of(visitor, prompt).split()),
    )


def has_words(page: str, prompt: str) -> bool:
    """Whether words of the telling stand there: a cursor alone says that it is told, no more."""
    told, cursor, _ = page.partition(say("story.cursor"))
    return bool(cursor) and told != f"**{prompt}**"


def messages_of(visitor: Visitor, prompt: str) -> list[dict[str, Any]]:
    """The messages that show the story with this beginning; one, if all is well."""
    beginning = f"**{prompt}**"
    return [m for m in visitor.messages.values() if beginning in json.dumps(m["embeds"])]


def page_of(visitor: Visitor, prompt: str) -> str:
    """What stands in its message; nothing before there is one."""
    found = messages_of(visitor, prompt)
    return str(found[0]["embeds"][0]["description"]) if found else ""


def is_over(visitor: Visitor, prompt: str) -> bool:
    """Whether it was told, or has failed: it can be asked for again."""
    return "kataribe:again:" in json.dumps(messages_of(visitor, prompt))
