"""A work as a row of its file, and which of the file's columns say what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TEXT_COLUMNS = ("synopsis", "sypnopsis", "description", "overview", "plot", "summary", "text")
TITLE_COLUMNS = ("title", "name")
GENRE_COLUMNS = ("genres", "genders", "genre")


@dataclass(frozen=True, slots=True)
class Row:
    """One work as its file has it."""

    number: int
    """Counted from 1, without the header."""
    title: str
    genres: str
    text: str


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be read, and why."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a row has what: several places where several columns have one name."""

    names: Sequence[str]
    text: Sequence[int]
    title: Sequence[int]
    genres: Sequence[int]

    @classmethod
    def find(cls, names: Sequence[str], path: Path, column: str | None) -> Columns:
        """Columns by their usual names, whatever their case.

        Args:
            names: of all columns, in order.
            path: their file.
            column: where the synopsis stands; None looks for the usual names.

        Raises:
            InputError: none of them is the synopsis.
        """
        places: dict[str, list[int]] = {}
        for place, name in enumerate(names):
            places.setdefault(name.strip().lower(), []).append(place)

        def first(usual: tuple[str, ...]) -> list[int]:
            return next((places[name] for name in usual if name in places), [])

        text = first((column.strip().lower(),) if column else TEXT_COLUMNS)
        if not text:
            raise InputError(f"{path} {_lacks(names, column)}")
        return cls(names, text, first(TITLE_COLUMNS), first(GENRE_COLUMNS))

    @property
    def repeated(self) -> list[str]:
        """What a person should know of columns with one name."""
        return [
            f"has {len(places)} columns named {self.names[places[0]].strip()}; of each row the "
            "first that holds something was taken"
            for places in (self.text, self.title, self.genres)
            if len(places) > 1
        ]

    def row(self, number: int, values: Sequence[object]) -> Row | BadRow:
        """Values, one for each name, read by these columns."""
        text = _first(values, self.text)
        if not isinstance(text, str):
            return BadRow(number, f"{self.names[self.text[0]].strip()} is not text")
        row = Row(
            number, _joined(_first(values, self.title)), _joined(_first(values, self.genres)), text
        )
        content = row.title + row.genres + row.text
        if any("\ud800" <= char <= "\udfff" for char in content):
            return BadRow(number, "is not UTF-8")
        if "\0" in content:
            return BadRow(number, "has a NUL character, which no text has")
        return row


def _first(values: Sequence[object], places: Sequence[int]) -> object:
    """What stands in the first of these places that is not blank; "" if all are."""
    for place in places:
        value = values[place]
        if value is not None and not (isinstance(value, str) and not value.strip()):
            return value
    return ""


def _joined(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _lacks(names: Sequence[str], column: str | None) -> str:
    """Why no column is the synopsis; a file that is no table may have names without end."""
    if any("\0" in name for name in names):
        return (
            "has NUL characters where its columns should be named: it is no text, or in an "
            "encoding that cannot be told. Save it as UTF-8."
        )
    wanted = f"column {column!r}" if column else f"column named {', '.join(TEXT_COLUMNS)}"
    shown = [name if len(name) <= 40 else f"{name[:39]}…" for name in names[:20]]  # noqa: PLR2004
    if len(names) > len(shown):
        shown.append("…")
    has = ", ".join(shown).encode(errors="replace").decode()
    return f"has no {wanted}; it has {has}. Name one with --column."
