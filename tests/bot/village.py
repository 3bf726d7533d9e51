"""A dispatcher with a real queue and a real generator's API, and a presenter that remembers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.config import Settings
from bot.database.guilds import Guilds
from bot.database.queue import Queue
from bot.database.stories import Stories
from bot.worker.bell import Bell
from bot.worker.catalogue import Catalogue
from bot.worker.completions import Completions
from bot.worker.dispatcher import Dispatcher
from bot.worker.metrics import Metrics
from bot.worker.screening import Screening
from tests.bot.wishes import wish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from bot.database import Database
    from bot.database.tables import State, Story

PATIENCE = 20.0
LONG = 3600.0
"""Seconds of a lease that ends, and is renewed, only when a test says so."""


@dataclass
class Wall:
    """A presenter that remembers what stood on it, and may be told to break."""

    shown: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Story id → its text after each piece."""
    ended_: list[Story] = field(default_factory=list)
    places: list[dict[int, int]] = field(default_factory=list)
    broken: dict[int, Exception] = field(default_factory=dict)
    """Story id → what its next `ended` raises."""
    torn: dict[int, Exception] = field(default_factory=dict)
    """Story id → what all its `words` raise."""
    slow: dict[int, asyncio.Event] = field(default_factory=dict)
    """Story id → what its `ended` waits for."""
    finishing: list[int] = field(default_factory=list)
    """Each `ended` that began."""
    happened: list[tuple[str, int]] = field(default_factory=list)
    """What the dispatcher said, of which story."""
    sure_at: float | None = None
    """When the bot was last seen to have its shards."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def waiting(self, places: Mapping[int, int]) -> None:
        self.places.append(dict(places))
        self.changed.set()

    def began(self, story: Story) -> None:
        self._note("began", story)

    def words(self, story: Story, piece: str) -> None:
        if error := self.torn.get(story.id):
            raise error
        before = self.shown[story.id][-1:] if self.happened[-1] != ("began", story.id) else []
        self.shown[story.id].append("".join(before) + piece)
        self._note("words", story)

    def broke_off(self, story: Story, *, keep: bool = True) -> str:
        self._note("broke off" if keep else "taken back", story)
        if not keep:
            self.shown[story.id].append("")
        return "".join(self.shown.get(story.id, [])[-1:])

    def sure(self, at: float | None) -> None:
        self.sure_at = at
        self.changed.set()

    def lost(self, story_id: int) -> None:
        self.happened.append(("lost", story_id))
        self.changed.set()

    async def ended(self, story: Story) -> None:
        self.finishing.append(story.id)
        self._note("ended", story)
        if story.id in self.slow:
            await self.slow[story.id].wait()
        if error := self.broken.pop(story.id, None):
            raise error
        self.ended_.append(story)
        self.changed.set()

    def _note(self, what: str, story: Story) -> None:
        self.happened.append((what, story.id))
        self.changed.set()

    async def until(self, found: Callable[[], object]) -> None:
        """Wait until something holds; looked at again whenever the wall changes."""
        async with asyncio.timeout(PATIENCE):
            while not found():
                self.changed.clear()
                await self.changed.wait()

    def endings(self) -> list[tuple[int, State]]:
        return [(story.id, story.state) for story in self.ended_]


class WatchedQueue(Queue):
    """A queue that can be waited for."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._shown: set[int] = set()
        self._noted = asyncio.Event()
        self.sweeps = 0
        self._changed = asyncio.Condition()

    async def shown(self, story_id: int, state: State) -> None:
        try:
            await super().shown(story_id, state)
        finally:
            # Also when the dispatcher, which sees that it is not held any more, ends the task.
            self._shown.add(story_id)
            self._noted.set()

    async def sweep(self) -> None:
        await super().sweep()
        async with self._changed:
            self.sweeps += 1
            self._changed.notify_all()

    async def swept(self, times: int) -> None:
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: self.sweeps >= times)

    async def known(self, story_ids: tuple[int, ...]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not self._shown >= set(story_ids):
                self._noted.clear()
                await self._noted.wait()


@dataclass
class Village:
    """A dispatcher at work, and everything around it."""

    queue: WatchedQueue
    stories: Stories
    completions: Completions
    wall: Wall
    bell: Bell
    dispatcher: Dispatcher
    settings: Settings
    screening: Screening
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self, dispatcher: Dispatcher | None = None) -> None:
        self._tasks.append(asyncio.create_task((dispatcher or self.dispatcher).run()))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        self._tasks.clear()

    def another(self) -> Dispatcher:
        return Dispatcher(
            self.queue,
            self.stories,
            self.completions,
            Catalogue(self.completions),
            self.wall,
            self.bell,
            self.settings,
            self.screening,
            Metrics(),
        )

    async def ask(self, member: int = 1, **changes: Any) -> int:
        story = await self.queue.enqueue(wish(member, **changes))
        self.bell.ring()
        return story.id

    async def get(self, story_id: int) -> Story:
        story = await self.stories.get(story_id)
        assert story is not None
        return story

    async def upkeep(self) -> None:
        """Renew the leases and sweep the queue now; by itself it would take a third of a lease."""
        times = self.queue.sweeps + 1
        self.dispatcher._upkeep_due = 0.0
        self.bell.ring()
        await self.queue.swept(times)

    async def over(self, *story_ids: int) -> None:
        """Wait until these stories' last word was shown, and the queue knows it."""
        await self.wall.until(lambda: {s.id for s in self.wall.ended_} >= set(story_ids))
        await self.queue.known(story_ids)


@asynccontextmanager
async def village(
    database: Database,
    url: str | None,
    queue_type: type[WatchedQueue] = WatchedQueue,
    **settings: Any,
) -> AsyncIterator[Village]:
    queue_settings = {"per_member": 100, **settings.pop("queue", {})}
    loaded = Settings(queue=queue_settings, **settings)
    queue, stories = queue_type(database.sessions, loaded.queue), Stories(database.sessions)
    wall, bell = Wall(), Bell()
    async with Completions(url, loaded.stories, request_timeout=10) as completions:
        catalogue = Catalogue(completions)
        screening = Screening(Guilds(database.sessions))
        dispatcher = Dispatcher(
            queue, stories, completions, catalogue, wall, bell, loaded, screening, Metrics()
        )
        place = Village(queue, stories, completions, wall, bell, dispatcher, loaded, screening)
        place.start()
        yield place
        await place.stop()
