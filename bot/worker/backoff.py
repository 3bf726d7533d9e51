"""What failed rests before it is tried again, twice as long each time."""

from __future__ import annotations

from typing import Generic, TypeVar

Of = TypeVar("Of", int, str)


class Backoff(Generic[Of]):
    """Rests of stories, or of models; moments are the event loop's, in seconds.

    What is kept here can be forgotten at any moment: then it is tried a little earlier.
    """

    def __init__(self, first: float, longest: float) -> None:
        """`first`, `longest`: seconds of the first rest, and of the longest."""
        self._first = first
        self._longest = longest
        self._rests: dict[Of, tuple[float, float]] = {}
        """Of whom → how long the last rest was, and until when."""

    def failed(self, of: Of, now: float, *, at_least: float = 0.0) -> float:
        """Have it rest; gives the seconds."""
        before, _ = self._rests.get(of, (0.0, 0.0))
        return self.rest(of, now, min(max(self._first, 2 * before, at_least), self._longest))

    def rest(self, of: Of, now: float, seconds: float) -> float:
        """Have it rest for just so long; gives the seconds."""
        self._rests[of] = seconds, now + seconds
        return seconds

    def resting(self, now: float) -> set[Of]:
        """Those that are not to be tried now."""
        # Who was not tried again within the longest rest after its own is not going to fail again.
        self._rests = {
            of: rest for of, rest in self._rests.items() if now - rest[1] < self._longest
        }
        return {of for of, (_, until) in self._rests.items() if until > now}

    def recovered(self, of: Of) -> None:
        """It worked, or will not be tried any more."""
        self._rests.pop(of, None)

    def clear(self) -> None:
        """Let all be tried at once."""
        self._rests.clear()
