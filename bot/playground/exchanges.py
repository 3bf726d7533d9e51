"""What went over REST last, for those who check it against Discord's own description."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer; `None` where there was no JSON."""

    method: str
    route: str
    """The route's template below the API's root: `/channels/{channel_id}/messages`."""
    request: Any
    status: int
    response: Any
