"""How the models stand, reckoned in a thread and only when a duel has closed since."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.charts.strengths import Strength
    from bot.database.figures import Ballot, Figures, Likes

FRESH = 600.0
"""Seconds for which the stars of all models are not counted again."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the models stand in duels, and how their stories are liked; the best first."""

    strengths: Sequence[Strength]
    duels: int
    """Closed duels that someone voted in."""
    likes: Sequence[Likes]


class Ranking:
    """Kept until it has changed; who asks meanwhile gets the same."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._asking = asyncio.Lock()
        self._reckoned: tuple[Sequence[Strength], int] = ((), 0)
        self._last: int | None = None
        self._likes: Sequence[Likes] = ()
        self._counted_at: float | None = None

    async def standing(self) -> Standing:
        """Give it as it is now."""
        async with self._asking:
            last = await self._figures.last_closed()
            if last != self._last:
                ballots = await self._figures.ballots()
                self._reckoned = await asyncio.to_thread(_reckon, ballots)
                self._last = last
            if self._counted_at is None or time.monotonic() - self._counted_at > FRESH:
                self._likes = await self._figures.likes()
                self._counted_at = time.monotonic()
            return Standing(*self._reckoned, self._likes)


def _reckon(ballots: Sequence[Ballot]) -> tuple[Sequence[Strength], int]:
    from bot.charts.strengths import strengths  # noqa: PLC0415  # loads numpy, in the thread

    return strengths(ballots), len({ballot.duel_id for ballot in ballots})
