"""How something went: what a chart of the last hours is drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Courses = Mapping[str, Sequence[float | None]]
"""By name, a value for each minute, the newest last; None where nobody knows it."""
