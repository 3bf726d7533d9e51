"""The clock of leases and limits."""

from __future__ import annotations

import datetime as dt

from bot.database.clock import Clock, now


def test_a_step_of_the_systems_clock_moves_no_lease_and_no_limit() -> None:
    wall, steady = 1_800_000_000.0, 50.0
    clock = Clock(lambda: wall, lambda: steady)
    begun = clock.now()
    assert begun == dt.datetime.fromtimestamp(1_800_000_000, dt.UTC)
    for step in (86_400.0, -3 * 86_400.0):
        wall += step
        steady += 10
        begun += dt.timedelta(seconds=10)
        assert clock.now() == begun


def test_the_clock_of_this_process_begins_with_the_walls() -> None:
    # Within what a machine that tests steps by.
    assert abs(now() - dt.datetime.now(dt.UTC)) < dt.timedelta(hours=1)
