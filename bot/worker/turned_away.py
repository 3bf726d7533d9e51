"""Stories that a server turned away: they let others go first when it is tried again.

A server that is away turns everybody away, but some turn away one story only, by the same answers:
a gateway that reads its words, a limit that it alone exceeds. Without this it would be the next
again each time, and nobody behind it would be told.
"""

from __future__ import annotations

LONGEST = 60.0
"""Seconds that a story lets others go first at most."""


class TurnedAway:
    """What is kept here can be forgotten at any moment: then the order is the queue's own."""

    def __init__(self) -> None:
        self._asides: dict[int, tuple[float, float]] = {}
        """Story → how long it stands aside, and until when."""

    def add(self, story_id: int, now: float, rest: float) -> None:
        """Have a story stand aside until its server, which rests, has been tried by another.

        Args:
            story_id: The story; each further time it stands aside for twice as long.
            now: The moment, in seconds.
            rest: Seconds that its server rests.
        """
        before, _ = self._asides.get(story_id, (0.0, 0.0))
        aside = min(2 * max(before, rest), LONGEST)
        self._asides[story_id] = aside, now + aside

    def aside(self, now: float) -> set[int]:
        """Stories that let others go first."""
        self._asides = {i: a for i, a in self._asides.items() if now - a[1] < LONGEST}
        return {i for i, (_, until) in self._asides.items() if until > now}

    def discard(self, story_id: int) -> None:
        """It is being told."""
        self._asides.pop(story_id, None)

    def clear(self) -> None:
        """There is a server again: whoever it turned away has not met it."""
        self._asides.clear()
