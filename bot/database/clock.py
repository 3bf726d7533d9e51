"""The moment, as leases and limits count it: no step of the system's clock moves it."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Linux's counts the time that a machine sleeps as well; elsewhere CLOCK_MONOTONIC does it.
STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _seconds_since_boot() -> float:
    return time.clock_gettime(STEADY)


class Clock:
    """The wall's time when it was made, and from then on the steady clock's seconds."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = _seconds_since_boot,
    ) -> None:
        """Look at both clocks, each in seconds."""
        self._steady = steady
        self._start = wall() - steady()

    def now(self) -> dt.datetime:
        """Give the moment, in UTC."""
        return dt.datetime.fromtimestamp(self._start + self._steady(), dt.UTC)

    def agree(self, moment: dt.datetime) -> None:
        """Take another clock's moment for the present one."""
        self._start = moment.timestamp() - self._steady()


_since_the_start = Clock()


def now() -> dt.datetime:
    """Give the moment, in UTC, by the one clock of this process."""
    return _since_the_start.now()


def agree(moment: dt.datetime) -> None:
    """Let what `now` gives go on from a moment: that of others with whom leases are compared."""
    _since_the_start.agree(moment)
