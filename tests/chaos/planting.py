"""Bugs planted in a copy of the bot, to see that a run finds them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Bug:
    """What stands in the code, and what stands there instead; by the file."""

    changes: dict[str, tuple[tuple[str, str], ...]]
    promise: str
    """The one that it breaks."""


BUGS = {
    "lease-ignored": Bug(
        {
            "bot/database/places.py": (
                (
                    "    return or_(story.lease_until.is_(None), story.lease_until < moment)\n",
                    "    del moment\n    return story.id > 0\n",
                ),
            ),
            "bot/database/queue.py": (
                ("                chosen.id.not_in(busy),\n", ""),
                ("                ended.id.not_in(busy),\n", ""),
            ),
        },
        "told-by-one",
    ),
    "vote-before-its-check": Bug(
        {
            "bot/database/ratings.py": (
                ("Story.id == story_id, Story.member_id != member_id,", "Story.id == story_id,"),
            ),
        },
        "votes-count-once",
    ),
    "wall-clock": Bug(
        {
            "bot/database/clock.py": (
                ("fromtimestamp(self._start + self._steady(), dt.UTC)", "now(dt.UTC)"),
            ),
        },
        "time-flows",
    ),
}


def planted(name: str, folder: Path) -> Path:
    """Copy the bot into the folder with a bug in it; gives where it is to be run.

    Raises:
        ValueError: the code is no longer what the bug is planted in.
    """
    for part in ("bot", "migrations"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("config.toml", "pyproject.toml"):
        shutil.copy(ROOT / file, folder / file)
    for file, changes in BUGS[name].changes.items():
        code = (folder / file).read_text(encoding="utf-8")
        for before, after in changes:
            if code.count(before) != 1:
                raise ValueError(f"{file} no longer has: {before.strip()}")
            code = code.replace(before, after)
        (folder / file).write_text(code, encoding="utf-8")
    return folder
