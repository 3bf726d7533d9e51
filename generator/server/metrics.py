"""What the host can watch, in Prometheus' format."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from generator.engine.registry import Registry

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_FIRST = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)  # seconds
_BETWEEN = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1)  # seconds


class Metrics:
    """All measures of one server; times in seconds, by model."""

    def __init__(self, registry: Registry) -> None:
        self._collectors = CollectorRegistry()
        self.first_token = Histogram(
            "kataribe_time_to_first_token_seconds",
            "From the request's arrival to its story's first token.",
            ["model"],
            buckets=_FIRST,
            registry=self._collectors,
        )
        self.inter_token = Histogram(
            "kataribe_inter_token_seconds",
            "Between two tokens of a story; the mean where several arrived at once.",
            ["model"],
            buckets=_BETWEEN,
            registry=self._collectors,
        )
        self.tokens = Counter(
            "kataribe_tokens",
            "Tokens read (prompt) and written (completion).",
            ["model", "kind"],
            registry=self._collectors,
        )
        self.stories = Counter(
            "kataribe_stories",
            "Stories by their end: stop, length or cut.",
            ["model", "end"],
            registry=self._collectors,
        )
        self._collectors.register(_Occupancy(registry))

    def page(self) -> bytes:
        """What Prometheus reads."""
        return generate_latest(self._collectors)


class _Occupancy:
    """How full the loaded models are, read when somebody asks."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return self._gauges()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        in_use, queued, memory = gauges = self._gauges()
        for resident in self._registry.residents:
            in_use.add_metric([resident.name], resident.engine.slots_in_use)
            queued.add_metric([resident.name], resident.engine.waiting)
            memory.add_metric([resident.name], resident.engine.memory)
        return gauges

    @staticmethod
    def _gauges() -> tuple[GaugeMetricFamily, ...]:
        return (
            GaugeMetricFamily(
                "kataribe_slots_in_use",
                "Slots that stories hold: one each, or one for each beam.",
                labels=["model"],
            ),
            GaugeMetricFamily(
                "kataribe_waiting", "Stories that wait for a slot.", labels=["model"]
            ),
            GaugeMetricFamily(
                "kataribe_model_bytes",
                "Memory of a model at most: its weights and its stories' state.",
                labels=["model"],
            ),
        )


class Stopwatch:
    """The times of one story, kept as its tokens arrive."""

    def __init__(self, metrics: Metrics, model: str, arrival: float) -> None:
        """Start at `arrival`, in `time.perf_counter` seconds."""
        self._first = metrics.first_token.labels(model)
        self._between = metrics.inter_token.labels(model)
        self._arrival = arrival
        self._latest: float | None = None

    def arrived(self, tokens: int) -> None:
        """So many tokens have just come."""
        now = time.perf_counter()
        if self._latest is None:
            self._first.observe(now - self._arrival)
        else:
            self._between.observe((now - self._latest) / tokens)
        self._latest = now
