"""Discord's ids: milliseconds since 2015 in the high bits, so later things have larger ids."""

from __future__ import annotations

import time
from datetime import UTC, datetime

EPOCH_MS = 1_420_070_400_000
"""The first second of 2015, from which Discord counts."""

_TIME_SHIFT = 22


class Snowflakes:
    """Makes ids that only ever grow, even when the clock steps back or the playground restarts."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        """A new id, larger than every earlier one."""
        now = (time.time_ns() // 1_000_000 - EPOCH_MS) << _TIME_SHIFT
        self._last = max(now, self._last + 1)
        return self._last

    def seen(self, snowflake: int) -> None:
        """Stay above an id that an earlier run gave out."""
        self._last = max(self._last, snowflake)


def created_at(snowflake: int) -> datetime:
    """The moment that an id carries."""
    return datetime.fromtimestamp(((snowflake >> _TIME_SHIFT) + EPOCH_MS) / 1000, UTC)
