"""Stories that may have killed the generator: who was told when it died, and who alone.

When a generator dies, every story that it was telling is lost with it, and nobody can say which
one was at fault. None of them loses an attempt for that; but who was there twice is told alone
from then on. Then it is itself to blame.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

ALONE_AFTER = 2
"""Losses in company after which a story is told alone."""
REST = 1.0
"""Seconds until one that rests after a failure is looked for again."""


MARGIN = 0.01
"""Seconds by which a timer may be early."""


class Suspects:
    """What is kept here can be forgotten at any moment: then two more deaths bring it back."""

    def __init__(self) -> None:
        self._losses: Counter[int] = Counter()
        self._in_company: set[int] = set()
        self._rests_until = 0.0

    def began(self, story_id: int, telling: Iterable[int]) -> None:
        """A story is told beside the others of `telling`, which has it as well."""
        if others := set(telling) - {story_id}:
            self._in_company |= others | {story_id}

    def lost(self, story_id: int) -> bool:
        """The generator was lost while it told; gives whether another may be to blame."""
        if story_id not in self._in_company:
            return False
        self._losses[story_id] += 1
        return True

    def ended(self, story_id: int) -> None:
        """It is not being told any more."""
        self._in_company.discard(story_id)

    def acquit(self, story_id: int) -> None:
        """It was told to its end."""
        del self._losses[story_id]

    def to_be_told_alone(self, now: float | None = None) -> AbstractSet[int]:
        """Stories that nobody may be told beside; at a moment, in seconds: unless they rest."""
        if now is not None and now < self._rests_until:
            return frozenset()
        return {story_id for story_id, times in self._losses.items() if times >= ALONE_AFTER}

    def rest(self, now: float, live: AbstractSet[int]) -> float:
        """None of them can be told now; gives after how many seconds they are looked for again.

        Those that are not `live` any more are forgotten.
        """
        self._rests_until = now + REST
        for story_id in self.to_be_told_alone() - live:
            del self._losses[story_id]
        return REST + MARGIN
