"""What was measured, for people and for programs, and how far the measuring is."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of all do not exceed; of none it is no number."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(percent / 100 * len(values)) - 1)]


def print_waits(waits: Mapping[str, Sequence[float]]) -> None:
    """A table: a row for each kind of wait, in milliseconds, and one for all of them."""
    print(f"{'milliseconds':26}{'times':>8}{'p50':>8}{'p99':>8}{'worst':>8}")
    every = [wait for kind in waits.values() for wait in kind]
    for name, values in [*sorted(waits.items()), ("all", every)]:
        if values:
            p50, p99 = percentile(values, 50), percentile(values, 99)
            print(f"{name:26}{len(values):8,}{p50:8.0f}{p99:8.0f}{max(values):8.0f}")


def ack_figures(
    waits: Sequence[float], accepted: int, seconds: float, rss_mb: float | None
) -> dict[str, object]:
    """The figures that every measurement of a running bot ends with."""
    return {
        "ack_p50_ms": _number(percentile(waits, 50)),
        "ack_p99_ms": _number(percentile(waits, 99)),
        "accepted_per_second": round(accepted / seconds, 2),
        "rss_mb": rss_mb,
    }


def print_json(figures: Mapping[str, object]) -> None:
    """The last line, for programs."""
    print(json.dumps(figures, allow_nan=False))


def show_progress(done: float, of: float, what: str) -> None:
    """Draw how far it is, on a line that the next call overwrites, where a person looks on."""
    if not sys.stderr.isatty():
        return
    share = min(done / of, 1.0)
    bar = ("#" * round(24 * share)).ljust(24, ".")
    end = "\n" if share >= 1.0 else ""
    print(f"\r[{bar}] {done:,.0f} of {of:,.0f} {what}", end=end, file=sys.stderr, flush=True)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 1)
