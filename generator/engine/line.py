"""Stories that wait for slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from generator.engine.generation import Generation


class Line:
    """In order of arrival, but nobody is kept by one that needs more slots than are free.

    Where the first in line does, others pass it, and at most so many: then the slots that become
    free are kept for it. So a search with many beams waits for the stories that were there before
    it and some more, and the others for it no longer than until those have ended.
    """

    def __init__(self, passes: int) -> None:
        """Prepares an empty line.

        Args:
            passes: stories that may pass the first in line, while it is that.
        """
        self._passes = self._left = passes
        self._waiting: list[Generation] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, generation: Generation) -> None:
        """It has arrived."""
        self._waiting.append(generation)

    def remove(self, generation: Generation) -> None:
        """It waits no longer.

        Raises:
            ValueError: it is not in line.
        """
        place = self._waiting.index(generation)
        del self._waiting[place]
        if not place:
            self._left = self._passes

    def next(self, free: int) -> Generation | None:
        """Takes the one whose turn it is out of the line.

        Args:
            free: slots that are.
        """
        for place, generation in enumerate(self._waiting):
            if generation.request.num_beams <= free:
                self._left = self._left - 1 if place else self._passes
                return self._waiting.pop(place)
            if not self._left or not free:
                break
        return None

    def leave(self) -> list[Generation]:
        """All of them, who wait no longer."""
        waiting, self._waiting = self._waiting, []
        return waiting
