"""A bot before a crowd: a stand-in for Discord with many members, and the bot connected to it.

The bot is a process of its own and knows nothing of it: all that it hears and says goes over
Discord's gateway and REST, on sockets. What a member waits is measured where Discord is.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import tempfile
import time
from collections import defaultdict, deque
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.bench.figures import ack_figures
from bot.bench.running import RunningBot, running_bot
from bot.playground import Playground
from bot.playground.errors import RateLimitedError
from bot.playground.interactions import Interaction, Kind, Outcome
from bot.playground.layouts import parts_of
from bot.playground.limits import LOADING
from bot.playground.messages import Change
from bot.playground.rate_limits import RateLimits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.playground.errors import Json
    from bot.playground.messages import Message
    from bot.playground.world import Channel, Member

LOOKED_AT = 50
"""The newest messages with a kind of button, among which a member finds one to press."""
KEPT = 1_000_000
"""Messages of a channel that Discord keeps: it forgets none."""


class CountingLimits(RateLimits):
    """Discord's limits, and how often the bot ran into one."""

    refused = 0

    def take(self, route: str, major: str) -> dict[str, str]:
        """Count one request of a route, as Discord does."""
        try:
            return super().take(route, major)
        except RateLimitedError:
            self.refused += 1
            raise

    def take_any(self) -> None:
        """Count one request of the bot, as Discord does."""
        try:
            super().take_any()
        except RateLimitedError:
            self.refused += 1
            raise


class Crowd:
    """The members, what they did, and how long each waited to be acknowledged."""

    def __init__(
        self, discord: Playground, bot: RunningBot, limits: CountingLimits, size: int
    ) -> None:
        self.discord = discord
        self.bot = bot
        self.limits = limits
        self.members = [discord.world.join(f"member{n}") for n in range(1, size + 1)]
        self.channel: Channel = next(iter(discord.world.channels.values()))
        self.numbers = itertools.count(1)
        """One for each story, so that no two are the same."""
        self.told: set[int] = set()
        """Messages that have shown a story to its end."""
        self._with: dict[str, deque[Message]] = defaultdict(lambda: deque(maxlen=LOOKED_AT))
        self._moved = asyncio.Event()
        discord.messages.listeners.append(self._changed)
        self.waits: dict[str, list[float]] = defaultdict(list)
        """Milliseconds, by what was done."""
        self.unanswered = 0
        """Interactions that Discord gave up after three seconds."""
        self.accepted = 0
        """Wishes that got a place in the queue."""
        self.undecided = 0
        """Wishes for which the bot asked for more time."""
        self.refused = 0
        """Wishes that were answered with a sentence that says why not."""

    async def act(
        self, what: str, kind: Kind, member: Member, data: Any, *, wish: bool = False, **of: Any
    ) -> Interaction:
        """Do something as a member, and keep what the acknowledgement took.

        Args:
            what: How it is counted.
            kind: A command, a press, …
            member: Who does it.
            data: As Discord sends it.
            wish: It asks for a story.
            of: The message that was pressed, or the interaction that opened the form.
        """
        begun = time.perf_counter()
        done = self.discord.interactions.start(kind, member, self.channel, data, **of)
        result = await done.result
        self.waits[what].append(1000 * (time.perf_counter() - begun))
        if result.outcome is Outcome.NO_ANSWER:
            self.unanswered += 1
        elif wish and result.outcome is Outcome.ANSWERED:
            self._count(done.original)
        return done

    def _changed(self, change: Change, message: Message) -> None:
        if change is not Change.DELETED:
            ids = [str(part.get("custom_id", "")) for part in parts_of(message.components)]
            for starts in {":".join(id_.split(":")[:2]) + ":" for id_ in ids}:
                if message not in self._with[starts]:
                    self._with[starts].append(message)
            if any(id_.startswith("kataribe:again:") for id_ in ids):
                self.told.add(message.id)
        self._moved.set()

    def _count(self, answer: Message | None) -> None:
        """A story's message is for everybody, a refusal for who asked alone."""
        if answer is not None and answer.flags & LOADING:
            self.undecided += 1
        elif answer is not None and answer.visible_to is None:
            self.accepted += 1
        else:
            self.refused += 1

    def buttons(self, starts: str, member: Member) -> list[tuple[Message, Json]]:
        """The newest buttons whose custom id starts so, and the messages that they stand under."""
        return [
            (message, part)
            for message in self._with[starts]
            if message.visible_to in {None, member.user.id}
            for part in parts_of(message.components)
            if str(part.get("custom_id", "")).startswith(starts)
        ]

    def start_anew(self) -> None:
        """Forget what was measured.

        From now on this process looks for no garbage: members and Discord are here, and what they
        wait for is the bot, not half a second in which all stands still.
        """
        gc.collect()
        gc.disable()
        self.waits.clear()
        self.accepted = self.undecided = self.refused = 0
        self.unanswered = self.limits.refused = 0

    def figures(self, seconds: float) -> dict[str, object]:
        """What was measured in so many seconds."""
        waits = [wait for kind in self.waits.values() for wait in kind]
        return {
            "interactions": len(waits),
            "unanswered": self.unanswered,
            "wishes_accepted": self.accepted,
            "wishes_undecided": self.undecided,
            "wishes_refused": self.refused,
            "requests_over_the_limit": self.limits.refused,
            "ack_worst_ms": round(max(waits, default=0.0), 1),
            **ack_figures(waits, self.accepted, seconds, self.bot.rss_mb()),
        }

    async def until_told(self, count: int) -> None:
        """Wait until the messages of so many stories show them to their end."""
        while len(self.told) < count:
            self._moved.clear()
            await self._moved.wait()


@asynccontextmanager
async def crowd(size: int, **settings: str) -> AsyncIterator[Crowd]:
    """Open a Discord with so many members, and start a bot for it; settings as `running_bot`.

    Raises:
        BenchError: The bot did not start.
    """
    limits = CountingLimits()
    with tempfile.TemporaryDirectory(prefix="kataribe-bench-") as folder:
        async with (
            Playground(port=0, rate_limits=limits, kept=KEPT) as discord,
            running_bot(
                Path(folder),
                token=discord.token,
                DISCORD__API_URL=discord.api_url,
                DISCORD__GATEWAY_URL=discord.gateway_url,
                VOTES__ACCOUNT_AGE="0",
                **settings,
            ) as bot,
        ):
            yield Crowd(discord, bot, limits, size)
