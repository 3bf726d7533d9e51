"""What a host can watch of the bot, in Prometheus' format."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from bot.database.clock import now

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import SimpleNamespace

    import aiohttp
    from prometheus_client import Metric

    from bot.database.tables import Story

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_ACKNOWLEDGED = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3)  # seconds; later is too late
_WAITED = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 7200)  # seconds
_CALLBACK = re.compile(r"/interactions/(\d+)/[^/]+/callback$")
_PENDING = 10_000
"""Interactions whose answer is awaited, at most."""
_MODELS = 100
"""Models that are told apart: while the generator is away, members may ask for any name."""


class Metrics:
    """All measures of one bot; times in seconds."""

    def __init__(self, shards: str = "") -> None:
        """`shards`: which it has of several bots, as a label of every measure; empty: no label."""
        self._shards = shards
        self._collectors = CollectorRegistry()
        self._asked = Counter(
            "kataribe_bot_stories_asked",
            "Stories asked for, by the model.",
            ["model"],
            registry=self._collectors,
        )
        self._ended = Counter(
            "kataribe_bot_stories_ended",
            "Stories whose end was shown: told, failed, cancelled, expired.",
            ["model", "state"],
            registry=self._collectors,
        )
        self._waited = Histogram(
            "kataribe_bot_story_wait_seconds",
            "From the wish to the moment when its telling begins.",
            buckets=_WAITED,
            registry=self._collectors,
        )
        self._acknowledged = Histogram(
            "kataribe_bot_acknowledgement_seconds",
            "From an interaction's arrival to Discord's receipt of its answer.",
            ["kind"],
            buckets=_ACKNOWLEDGED,
            registry=self._collectors,
        )
        self._requests = Counter(
            "kataribe_bot_discord_requests",
            "Requests to Discord by method and status; 429 is a limit.",
            ["method", "status"],
            registry=self._collectors,
        )
        self._queue = Gauge(
            "kataribe_bot_queue",
            "Stories that wait (queued) or are told.",
            ["state"],
            registry=self._collectors,
        )
        self._connected = Gauge(
            "kataribe_bot_gateway_connected",
            "1: the shard hears Discord.",
            ["shard"],
            registry=self._collectors,
        )
        self._latency = Gauge(
            "kataribe_bot_gateway_latency_seconds",
            "Of a heartbeat.",
            ["shard"],
            registry=self._collectors,
        )
        self._servers = Gauge(
            "kataribe_bot_servers", "Servers that the bot is in.", registry=self._collectors
        )
        ProcessCollector(registry=self._collectors)
        self._models: set[str] = set()
        self._pending: OrderedDict[int, tuple[str, float]] = OrderedDict()
        self.moved_at = time.monotonic()
        """When a story last began or ended, by the monotonic clock."""

    def asked(self, story: Story) -> None:
        """A wish is saved."""
        self._asked.labels(self._model_of(story)).inc()

    def began(self, story: Story) -> None:
        """A telling begins, perhaps not the story's first."""
        self.moved_at = time.monotonic()
        if story.attempts <= 1:
            self._waited.observe(max(0.0, (now() - story.asked_at).total_seconds()))

    def ended(self, story: Story) -> None:
        """The end of a story stands in its channel."""
        self.moved_at = time.monotonic()
        self._ended.labels(self._model_of(story), story.state.value).inc()

    def arrived(self, interaction_id: int, kind: str) -> None:
        """A member typed or pressed something."""
        if len(self._pending) >= _PENDING:
            self._pending.popitem(last=False)
        self._pending[interaction_id] = kind, time.monotonic()

    def listen(self, trace: aiohttp.TraceConfig) -> None:
        """Read along in discord.py's requests."""
        trace.on_request_end.append(self._read)

    async def _read(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestEndParams,
    ) -> None:
        del session, context
        self._requests.labels(params.method, str(params.response.status)).inc()
        if (answered := _CALLBACK.search(params.url.path)) is not None:
            kind, arrived = self._pending.pop(int(answered[1]), ("", 0.0))
            if kind:
                self._acknowledged.labels(kind).observe(time.monotonic() - arrived)

    def _model_of(self, story: Story) -> str:
        if len(self._models) < _MODELS:
            self._models.add(story.model)
        return story.model if story.model in self._models else "another"

    def page(
        self,
        queue: Mapping[str, int],
        shards: Mapping[int, tuple[bool, float]],
        servers: int,
    ) -> bytes:
        """What Prometheus reads.

        Args:
            queue: How many stories wait and are told, by state.
            shards: Whether each hears Discord, and its latency in seconds.
            servers: How many the bot is in.
        """
        for state, count in queue.items():
            self._queue.labels(state).set(count)
        for shard, (connected, latency) in shards.items():
            self._connected.labels(str(shard)).set(connected)
            self._latency.labels(str(shard)).set(latency)
        self._servers.set(servers)
        return generate_latest(_Labelled(self._collectors, self._shards))


class _Labelled(Collector):
    """Measures that say which of several bots measured them."""

    def __init__(self, of_one: Collector, shards: str) -> None:
        self._of_one = of_one
        self._labels = {"shards": shards} if shards else {}

    def collect(self) -> Iterator[Metric]:
        for family in self._of_one.collect():
            family.samples = [
                sample._replace(labels=sample.labels | self._labels) for sample in family.samples
            ]
            yield family
