"""How much may be asked for: the queue's caps, a pause between two, a quota, and the rush."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from bot.database.clock import now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.config import Queue as QueueSettings

ROOM_AGAIN = dt.timedelta(minutes=1)
"""After which a full queue is worth another try: stories take seconds."""


class Scope(StrEnum):
    """Whose limit was reached."""

    MEMBER = "member"
    SERVER = "server"
    ALL = "all"
    COOLDOWN = "cooldown"
    DAILY = "daily"
    RUSH = "rush"
    """Too many ask at this moment."""


class QueueFullError(Exception):
    """There is no room for a further wish now."""

    def __init__(self, scope: Scope, limit: float, back_at: dt.datetime) -> None:
        super().__init__(f"the limit of {limit:g} is reached ({scope}) until {back_at}")
        self.scope = scope
        self.limit = limit
        self.back_at = back_at
        """When it is worth another try."""


ANSWERED_AT_ONCE = 16
"""Wishes that are saved and answered at the same time. Each takes some hundredths of a second."""
RUSH_PASSES = dt.timedelta(seconds=5)


class Rush:
    """How many wishes are being answered now; those that would wait long are turned away at once.

    Discord gives three seconds. Without a bound everybody waits in a rush, and nobody hears why.
    """

    def __init__(self) -> None:
        self._answered = 0

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Save a wish and answer it.

        Raises:
            QueueFullError: Too many are being answered.
        """
        if self._answered >= ANSWERED_AT_ONCE:
            raise QueueFullError(Scope.RUSH, ANSWERED_AT_ONCE, now() + RUSH_PASSES)
        self._answered += 1
        try:
            yield
        finally:
            self._answered -= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one member may ask for in one server; the stories of one interaction count once."""

    per_member: int
    """Wishes of a member that wait or are being told, in all servers together."""
    per_server: int
    """The same for a server."""
    waiting: int
    """The same for everybody together."""
    cooldown: float = 0.0
    """Seconds between two wishes of a member in a server."""
    daily: int = 0
    """Wishes of a member in a server on one day, in UTC; 0: as many as they like."""

    @classmethod
    def of(cls, settings: QueueSettings) -> Self:
        """Give the host's own, which hold where a server has set none."""
        return cls(**{name: getattr(settings, name) for name in cls.__slots__})
