"""What failed rests, longer each time; moments are what the test says."""

from __future__ import annotations

from bot.worker.backoff import Backoff


def test_a_rest_is_doubled_up_to_the_longest_and_short_again_after_a_success() -> None:
    backoff: Backoff[int] = Backoff(30.0, 3600.0)
    rests = [backoff.failed(1, 0.0) for _ in range(2000)]
    assert rests[:4] == [30.0, 60.0, 120.0, 240.0]
    assert rests[-1] == 3600.0
    backoff.recovered(1)
    assert backoff.failed(1, 0.0) == 30.0


def test_who_rests_is_not_tried_until_the_rest_is_over() -> None:
    backoff: Backoff[str] = Backoff(1.0, 10.0)
    backoff.failed("a", 100.0)
    backoff.failed("b", 100.0, at_least=5.0)
    backoff.rest("c", 100.0, 60.0)
    assert backoff.resting(100.5) == {"a", "b", "c"}
    assert backoff.resting(102.0) == {"b", "c"}
    assert backoff.resting(159.0) == {"c"}
    backoff.clear()
    assert backoff.resting(100.5) == set()


def test_who_is_never_tried_again_is_forgotten() -> None:
    backoff: Backoff[int] = Backoff(1.0, 10.0)
    assert [backoff.failed(1, moment) for moment in (0.0, 5.0)] == [1.0, 2.0]
    assert backoff.resting(30.0) == set()
    assert backoff.failed(1, 30.0) == 1.0
