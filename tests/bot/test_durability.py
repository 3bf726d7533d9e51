"""A bot that is killed, or stopped, in the middle: nothing is lost, and nothing is told twice."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import func, select

from bot.database import Database, open_database
from bot.database.stories import Stories
from bot.database.tables import State, Story
from tests.bot.wishes import queue_of, wish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

PATIENCE = 60.0
TELLERS = 8


class Narrator:
    """Tells `first` and `second` of each prompt; those on hold hear only the first."""

    def __init__(self, *on_hold: str) -> None:
        self.on_hold = set(on_hold)
        self.asked: Counter[str] = Counter()
        self.left = asyncio.Condition()

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        prompt = body["prompt"]
        self.asked[prompt] += 1
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await self._send(answer, {"text": f" first of {body['seed']},"})
        async with self.left:
            await self.left.wait_for(lambda: prompt not in self.on_hold)
        await self._send(answer, {"text": " second.", "finish_reason": "stop"})
        return answer

    async def _send(self, answer: web.StreamResponse, choice: dict[str, str]) -> None:
        await answer.write(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())

    async def let_go(self) -> None:
        async with self.left:
            self.on_hold.clear()
            self.left.notify_all()


@asynccontextmanager
async def narrating(narrator: Narrator) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/completions", narrator.complete)
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url(""))


@asynccontextmanager
async def bot(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bot.storyteller", *arguments
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def shown(channel: Path) -> list[dict[str, Any]]:
    if not channel.exists():
        return []
    # A line that is being written when the bot is killed is no line.
    lines = channel.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


async def until(found: Callable[[], Awaitable[bool]]) -> None:
    """Wait for another process: there is nothing to be woken by, so look again and again."""
    async with asyncio.timeout(PATIENCE):
        while not await found():  # noqa: ASYNC110  # see above
            await asyncio.sleep(0.01)


async def over(database: Database, *story_ids: int) -> None:
    """Wait until the last word about these stories was shown."""

    async def found() -> bool:
        async with database.sessions() as session:
            shown = select(func.count()).where(Story.id.in_(story_ids), Story.shown_at.is_not(None))
            return await session.scalar(shown) == len(story_ids)

    await until(found)


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'kataribe.db'}") as opened:
        yield opened


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_story_is_told_once_though_the_bot_dies(
    file: Database, tmp_path: Path, number: signal.Signals
) -> None:
    queue = queue_of(file, per_member=100)
    early = ["one", "two", "three"]
    half_told = [f"half {n}" for n in range(TELLERS)]
    waiting = [f"waiting {n}" for n in range(5)]
    unshown = "told but not shown"
    ids: dict[str, int] = {}
    for n, prompt in enumerate([*early, unshown, *half_told, *waiting]):
        ids[prompt] = (await queue.enqueue(wish(member=1, prompt=prompt, seed=n))).id
    channel = tmp_path / "channel"
    narrator = Narrator(*half_told, *waiting)
    async with narrating(narrator) as url:
        to = (url, str(file.engine.url), str(channel))
        async with bot(*to, unshown) as first:
            await over(file, *(ids[prompt] for prompt in early))

            async def in_the_middle() -> bool:
                lines = shown(channel)
                begun = {line["prompt"] for line in lines}
                return begun >= set(half_told) and any("stuck" in line for line in lines)

            await until(in_the_middle)
            first.send_signal(number)
            await first.wait()
        before = narrator.asked.copy()
        await narrator.let_go()
        async with bot(*to, "") as second:
            await over(file, *ids.values())
            second.send_signal(signal.SIGTERM)
            assert await second.wait() == 0
    endings = [(line["prompt"], line["text"]) for line in shown(channel) if "state" in line]
    texts = {prompt: f" first of {n}, second." for n, prompt in enumerate(ids)}
    assert sorted(endings) == sorted(texts.items())
    for prompt, story_id in ids.items():
        story = await Stories(file.sessions).get(story_id)
        assert story is not None
        assert (story.state, story.text) == (State.TOLD, texts[prompt])
        # Half-told ones are told again from their seed; what was told or waited is told once.
        again = prompt in half_told
        assert narrator.asked[prompt] == 1 + again
        assert narrator.asked[prompt] - before[prompt] == (again or prompt in waiting)
        assert story.attempts == 1 + (again and number is signal.SIGKILL)
