"""What the filters miss, and what they wrongly take: `python -m tests.bot.safety.figures [FILE]`.

On the texts beside this, and on the stories of a FILE that `tests.bot.safety.stories` has written.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from bot.safety.second_opinion import library_objects_to
from bot.safety.word_filter import house_filter, self_harm_filter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Judge = Callable[[str], object]

TEXTS = Path(__file__).parent / "texts"
OURS: Judge = house_filter().finds
IN_DANGER: Judge = self_harm_filter().finds
LIBRARY: Judge = library_objects_to


def both(text: str) -> bool:
    """Whether either objects: what decides over a beginning and a story."""
    return bool(OURS(text)) or bool(LIBRARY(text))


JUDGES: dict[str, Judge] = {"ours": OURS, "library": LIBRARY, "both": both}


def texts(name: str) -> list[str]:
    """The texts of one file, a line each."""
    lines = (TEXTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def missed(judge: Judge, name: str) -> list[str]:
    """Texts that are not fit and pass."""
    return [text for text in texts(name) if not judge(text)]


def taken(judge: Judge, of: Iterable[str]) -> list[str]:
    """Texts that do not pass."""
    return [text for text in of if judge(text)]


def _row(label: str, wrong: list[str], of: int) -> None:
    print(f"| {label} | {len(wrong)} of {of} | {len(wrong) / of:.1%} |")
    for text in wrong:
        print(f"    {text}")


def main(file: Path | None) -> None:
    """Print every figure, and each text behind it."""
    for name, judge in JUDGES.items():
        for kind in ("unfit", "disguised", "fresh_unfit"):
            _row(f"{name} misses, {kind}", missed(judge, kind), len(texts(kind)))
        _row(f"{name} takes wrongly", taken(judge, texts("fit")), len(texts("fit")))
    _row("in danger, missed", missed(IN_DANGER, "in_danger"), len(texts("in_danger")))
    tales = texts("tales_of_death") + texts("fit")
    _row("in danger, taken wrongly", taken(IN_DANGER, tales), len(tales))
    if file is None:
        return
    told = defaultdict(list)
    for line in file.read_text(encoding="utf-8").splitlines():
        story = json.loads(line)
        told[story["model"]].append(story["text"])
    for model, stories in sorted(told.items()):
        for name, judge in JUDGES.items():
            begun = time.perf_counter()
            wrong = taken(judge, stories)
            took = (time.perf_counter() - begun) / sum(map(len, stories))
            _row(f"{model}, taken by {name} ({1e6 * took:.1f} µs a character)", wrong, len(stories))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
