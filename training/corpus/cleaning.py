"""From synopsis files to one corpus: cleaned, without duplicates, split by franchise.

The first file is the target: its franchises are shared out among train, validation and test. Later
files only add to train, and nothing in them that belongs to a held-out franchise of the first. So
a figure on the test split means the same whichever files were mixed in.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from training.bars import each, under_way
from training.corpus.franchise import Families, franchise_name, shingles
from training.corpus.markup import without_markup
from training.corpus.reading import read_rows
from training.corpus.rows import BadRow
from training.corpus.rules import Drop, fingerprint
from training.corpus.texts import Split, Text
from training.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from training.corpus.rules import Rules

HELD_OUT_PERCENT = 5
"""Of the franchises, so many for validation and as many again for test."""

_NEAR = 0.5
"""A text that shares this much of its runs of words with earlier ones is a near-duplicate."""


@dataclass(slots=True)
class FileReport:
    """What became of one file's rows."""

    path: Path
    rows: int = 0
    dropped: Counter[Drop] = field(default_factory=Counter)
    bad: list[BadRow] = field(default_factory=list)
    kept: Counter[Split] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    """What had to be found out about the file, as its encoding."""

    def note(self, what: str) -> None:
        """Keeps a note, once."""
        if what not in self.notes:
            self.notes.append(what)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A corpus and how it came about."""

    texts: list[Text]
    files: list[FileReport]


def clean(
    paths: Sequence[Path], rules: Rules, *, column: str | None = None, duplicates: bool = False
) -> Cleaned:
    """Reads and cleans files, first the target, then what widens its training.

    Args:
        paths: CSV, JSON Lines or Parquet files.
        rules: of `training.corpus.rules`.
        column: where the synopsis stands; None looks for the usual names.
        duplicates: keep them, as the article does.

    Raises:
        InputError: a file cannot be used, or nothing is left of the first.
    """
    seen = None if duplicates else _Seen()
    texts: list[Text] = []
    files: list[FileReport] = []
    held_out: _HeldOut | None = None
    for path in paths:
        report = FileReport(path)
        kept = list(_stories(path, column, rules, seen, report))
        if held_out is None:
            with under_way("Finding franchises"):
                held_out = _HeldOut(kept)
            splits = held_out.splits
        else:
            stories = each(kept, f"Comparing {path.name} with {paths[0].name}", "texts")
            related = [held_out.touches(title, text) for title, text in stories]
            report.dropped[Drop.LEAK] = sum(related)
            kept = [story for story, leaks in zip(kept, related, strict=True) if not leaks]
            splits = [Split.TRAIN] * len(kept)
        for (title, text), split in zip(kept, splits, strict=True):
            texts.append(Text(text, title, path.stem, split))
            report.kept[split] += 1
        files.append(report)
        if not texts:
            raise InputError(f"{table(files)}\nNothing is left of {path} after cleaning.")
    return Cleaned(texts, files)


def _stories(
    path: Path, column: str | None, rules: Rules, seen: _Seen | None, report: FileReport
) -> Iterator[tuple[str, str]]:
    """Titles and clean texts of a file; what is left out goes to the report."""
    rows = read_rows(path, column, report.note)
    for row in each(rows, f"Reading {path.name}", "rows"):
        report.rows += 1
        if isinstance(row, BadRow):
            report.bad.append(row)
            continue
        text = rules(row)
        if not isinstance(text, Drop) and seen is not None:
            text = seen.check(text)
        if isinstance(text, Drop):
            report.dropped[text] += 1
        else:
            yield without_markup(row.title), text


def without_duplicates(texts: Sequence[Text]) -> list[Text]:
    """The first of texts that are the same or nearly so, as `clean` finds them."""
    seen = _Seen()
    read = each(texts, "Looking for duplicates", "texts")
    return [text for text in read if not isinstance(seen.check(text.text), Drop)]


class _Seen:
    """Texts so far, to tell a duplicate."""

    def __init__(self) -> None:
        self._prints: set[str] = set()
        self._runs: set[int] = set()

    def check(self, text: str) -> str | Drop:
        mark = fingerprint(text)
        if mark in self._prints:
            return Drop.DUPLICATE
        runs = shingles(text)
        if len(runs & self._runs) >= _NEAR * len(runs):
            return Drop.NEAR_DUPLICATE
        self._prints.add(mark)
        self._runs |= runs
        return text


class _HeldOut:
    """The target's splits, and whether a text of another file would give them away."""

    def __init__(self, stories: Sequence[tuple[str, str]]) -> None:
        titles = [title for title, _ in stories]
        self._families = Families(titles, [text for _, text in stories])
        self.splits = [
            self._split(franchise_name(titles[first]) or stories[first][1])
            for first in (self._families.of(index) for index in range(len(stories)))
        ]

    def touches(self, title: str, text: str) -> bool:
        related = self._families.related(title, text)
        return any(self.splits[first] is not Split.TRAIN for first in related)

    @staticmethod
    def _split(franchise: str) -> Split:
        """By a hash of its first work's name: the same on every machine, and as the file grows."""
        percent = int.from_bytes(hashlib.sha256(franchise.encode()).digest()[:8]) % 100
        if percent < HELD_OUT_PERCENT:
            return Split.TEST
        return Split.VALIDATION if percent < 2 * HELD_OUT_PERCENT else Split.TRAIN


def table(files: Sequence[FileReport]) -> str:
    """What was kept, what was dropped and why, what was found out, as lines to print."""
    lines: list[tuple[str, int]] = []
    for report in files:
        lines.append((f"{report.path.name}: rows", report.rows))
        dropped = {str(drop): count for drop, count in report.dropped.items() if count}
        if report.bad:
            dropped["could not be read"] = len(report.bad)
        lines += [(f"  dropped, {reason}", n) for reason, n in sorted(dropped.items())]
        lines += [(f"  kept for {split}", report.kept[split]) for split in Split]
    width = max(len(label) for label, _ in lines) + 2
    shown = [f"{label:<{width}}{count:>9,}" for label, count in lines]
    for report in files:
        shown += [f"{report.path.name} {note}" for note in report.notes]
        shown += [f"{report.path.name}, row {bad.number} {bad.reason}" for bad in report.bad[:20]]
        if len(report.bad) > 20:  # noqa: PLR2004  # enough to see what is wrong
            shown.append(f"{report.path.name}: and {len(report.bad) - 20} more")
    return "\n".join(shown)
