from __future__ import annotations

import time

from prometheus_client.parser import text_string_to_metric_families

from generator.config import EngineSettings
from generator.engine.registry import Registry
from generator.server.metrics import Metrics, Stopwatch


def test_the_first_token_is_timed_from_arrival_and_the_rest_from_one_to_the_next() -> None:
    metrics = Metrics(Registry(EngineSettings()))
    arrival = time.perf_counter() - 100
    stopwatch = Stopwatch(metrics, "m", arrival)
    for tokens in (3, 1, 2):
        stopwatch.arrived(tokens)
    values = {
        sample.name: sample.value
        for family in text_string_to_metric_families(metrics.page().decode())
        for sample in family.samples
    }
    assert values["kataribe_time_to_first_token_seconds_count"] == 1
    assert values["kataribe_time_to_first_token_seconds_sum"] >= 100
    assert values["kataribe_inter_token_seconds_count"] == 2
    assert values["kataribe_inter_token_seconds_sum"] < 50
