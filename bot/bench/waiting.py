"""How long a member waits, measured as the member sees it.

A bot of its own, with its playground and generator, on a database that is thrown away. The bench
types `/story` as the page would, and reads what every open page is shown.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import statistics
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.locales import say
from bot.playground.visitor import VisitError, Visitor, visit

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator

START_WITHIN = 180.0
TOLD_WITHIN = 300.0


class BenchError(Exception):
    """The bot under measurement did not start, or did not tell."""


@dataclass(frozen=True, slots=True)
class Waits:
    """What one member waited for one story, in milliseconds since `/story` was sent."""

    acknowledged: float
    first_words: float
    told: float
    words: int


def main(given: argparse.Namespace) -> int:
    """Measure and print; gives the exit status."""
    if given.stories < 1 or given.together < 1:
        print("--stories and --together take a whole number from 1", file=sys.stderr)
        return 2
    try:
        waits = asyncio.run(measure(given.model, given.stories, given.together))
    except TimeoutError:
        print(f"no story was told within {TOLD_WITHIN:.0f} s", file=sys.stderr)
        return 1
    except (BenchError, VisitError) as error:
        print(error, file=sys.stderr)
        return 1
    _print(given, waits)
    return 0


async def measure(model: str, stories: int, together: int) -> list[Waits]:
    """Ask for the stories, some at a time.

    Raises:
        BenchError: The bot did not start, or did not tell.
    """
    with tempfile.TemporaryDirectory(prefix="kataribe-bench-") as folder:
        async with _bot(Path(folder)) as address, visit(address, "haru") as haru:
            # The first story of a process also pays for what is loaded on first use.
            await _ask(haru, "Once before", model)
            waits: list[Waits] = []
            while len(waits) < stories:
                numbers = range(len(waits), min(len(waits) + together, stories))
                prompts = [f"In the year {2100 + number}" for number in numbers]
                waits += await asyncio.gather(*(_ask(haru, prompt, model) for prompt in prompts))
                print(f"\r{len(waits)} of {stories} stories told", end="", file=sys.stderr)
            print(file=sys.stderr)
            return waits


@asynccontextmanager
async def _bot(folder: Path) -> AsyncIterator[str]:
    """A bot in a process of its own; gives its page's address."""
    settings = {
        "KATARIBE_DATABASE__URL": f"sqlite+aiosqlite:///{folder / 'bench.db'}",
        "KATARIBE_PLAYGROUND__PORT": "0",
        "KATARIBE_QUEUE__PER_MEMBER": "1000",
        "KATARIBE_QUEUE__PER_SERVER": "1000",
        "KATARIBE_LOG__LEVEL": "WARNING",
    }
    environment = {k: v for k, v in os.environ.items() if k != "DISCORD_TOKEN"} | settings
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert process.stdout is not None  # noqa: S101  # asked for above
    try:
        async with asyncio.timeout(START_WITHIN):
            line = (await process.stdout.readline()).decode()
    except TimeoutError:
        raise BenchError(f"the bot did not start within {START_WITHIN:.0f} s") from None
    else:
        address = re.search(r"http://\S+", line)
        if address is None:
            raise BenchError("the bot did not start; its log above says why")
        yield address[0]
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _ask(visitor: Visitor, prompt: str, model: str) -> Waits:
    """Ask for a story with a prompt of its own, and look at the clock at each thing that comes."""
    sent = time.perf_counter()
    await visitor.command("story", {"prompt": prompt, "model": model})
    acknowledged = time.perf_counter()
    async with asyncio.timeout(TOLD_WITHIN):
        # A short story may stand there whole before an edit shows its beginning.
        await visitor.until(
            lambda: say("story.cursor") in page_of(visitor, prompt) or is_over(visitor, prompt)
        )
        first_words = time.perf_counter()
        await visitor.until(lambda: is_over(visitor, prompt))
    return Waits(
        acknowledged=1000 * (acknowledged - sent),
        first_words=1000 * (first_words - sent),
        told=1000 * (time.perf_counter() - sent),
        words=len(page_of(visitor, prompt).split()),
    )


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


def _print(given: argparse.Namespace, waits: list[Waits]) -> None:
    """A table for people, and one JSON line for programs."""
    print(f"{given.stories} stories by {given.model}, {given.together} at a time; milliseconds")
    print(f"{'':14}{'median':>8}{'worst':>8}")
    row: dict[str, object] = {
        "model": given.model,
        "stories": given.stories,
        "together": given.together,
    }
    for name in ("acknowledged", "first_words", "told"):
        values = [getattr(wait, name) for wait in waits]
        median, worst = statistics.median(values), max(values)
        print(f"{name.replace('_', ' '):14}{median:8.0f}{worst:8.0f}")
        row |= {f"{name}_ms": round(median, 1), f"{name}_ms_worst": round(worst, 1)}
    row["words"] = statistics.median(wait.words for wait in waits)
    print(json.dumps(row))
