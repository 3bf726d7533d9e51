"""What is seen from outside, in order: one JSON line an event, which is all the checker reads."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

Event = dict[str, Any]
"""`at` (seconds since the run began), `what`, and the fields of its kind:

asked: `id`, `kind` (what the member did), `member`, whether their account is `young`, `guild`,
    `channel`, `custom_id`, `message`
answered: `id`, `outcome`
message: `change`, `id`, `channel`, `to` (who alone sees it), `of` (the interaction that it answers,
    or the nonce it was posted with), `content`, `embeds`, `components`
destroyed: `message`, `channel` or `server` that somebody deleted
clock: seconds that the bot's clock is `ahead` from now on
newer: whether the database is one that the bot has to refuse (`on`)
telling, telling-over: `number` of a request for a story, and what it asks for
fault: `kind`, `on` (begins or ends)
process: `name`, `did`
handed-over: `name` of a process whose successor began, `seconds` after it was told to end, and
    `within` how many it should
ended-by-itself, stuck: `name` of a process
measured: `moment`, and what was measured
quiet, drained, end: how far the run is
"""


class History:
    """Written as it happens, so that a run that is broken off leaves what it saw."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._began = time.monotonic()
        self._file: TextIO = path.open("w", encoding="utf-8")

    @property
    def now(self) -> float:
        """Seconds since the run began."""
        return round(time.monotonic() - self._began, 3)

    def add(self, what: str, **fields: Any) -> None:
        """Note that something happened just now."""
        event = {"at": self.now, "what": what, **fields}
        self._file.write(json.dumps(event, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Nothing more will happen."""
        self._file.close()


def read(path: Path) -> Iterator[Event]:
    """Every event of a run, in order."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
