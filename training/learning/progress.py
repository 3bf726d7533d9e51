"""The bar that says how far a training has come, how fast it reads and how long it will take."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.learning.checkpoint import Course
    from training.recipe import Training


class ProgressBar:
    """On stderr, over the schedule's wall time where that shapes it, else over its tokens."""

    def __init__(self, course: Course, training: Training, bar: tqdm[Any]) -> None:
        self._course = course
        self._by_time = bool(training.minutes)
        self._bar = bar

    @classmethod
    @contextmanager
    def open(
        cls, course: Course, training: Training, planned: float, *, visible: bool
    ) -> Iterator[ProgressBar]:
        """Begins where the course is; `planned` are the schedule's tokens."""
        total, done, unit = planned, float(course.tokens), "token"
        if training.minutes:
            total, done, unit = 60 * training.minutes, course.seconds, "s"
        with tqdm(
            total=round(total), initial=round(done), unit=unit, unit_scale=True, mininterval=1.0,
            disable=not visible,
            bar_format="{desc} |{bar}| {percentage:.0f}% {elapsed}<{remaining} {postfix}",
        ) as bar:  # fmt: skip
            yield cls(course, training, bar)

    def show_step(self, loss: float) -> None:
        """One step more, and its loss in nats per token."""
        course, bar = self._course, self._bar
        speed = course.tokens / course.seconds if course.seconds else 0.0
        bar.set_description_str(f"loss {loss:.3f}, {speed:,.0f} tokens/s", refresh=False)
        done = course.seconds if self._by_time else course.tokens
        bar.update(min(done, float(bar.total or done)) - bar.n)

    def show_validation(self, bits: float) -> None:
        """What was measured last, beside the best."""
        self._bar.set_postfix_str(f"validation {bits:.3f} bits/byte, best {self._course.best:.3f}")
