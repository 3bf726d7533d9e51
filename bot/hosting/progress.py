"""How far something is that takes a while, drawn where a person looks on."""

from __future__ import annotations

import sys


def show_progress(done: int, total: int, what: str = "copied") -> None:
    """Draw it on a line of standard error that the next call overwrites."""
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\r{done / max(total, 1):4.0%} {what}", end=end, file=sys.stderr, flush=True)
