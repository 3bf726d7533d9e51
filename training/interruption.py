"""How a training is told to stop: the step under way ends, all is saved, and it can go on."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):  # noqa: N818  # not an error: the person asked for it
    """Training was told to stop and has saved its checkpoint."""

    def __init__(self, signal_number: int) -> None:
        super().__init__("Stopped and saved. The same command goes on from here.")
        self.signal_number = signal_number


class Wish:
    """To stop; a signal that comes is only remembered."""

    def __init__(self) -> None:
        self.signal = 0
        """The number of the last one that came; 0: none."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """SIGINT and SIGTERM do nothing else meanwhile. On the main thread only."""

        def remember(number: int, _: Any) -> None:
            self.signal = number

        before = {number: signal.signal(number, remember) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
