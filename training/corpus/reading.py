"""Synopsis files as people have them: CSV, JSON Lines or Parquet, one row after another."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import parquet

from training.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

TEXT_COLUMNS = ("synopsis", "sypnopsis", "description", "overview", "plot", "summary", "text")
TITLE_COLUMNS = ("title", "name")
GENRE_COLUMNS = ("genres", "genders", "genre")

csv.field_size_limit(2**24)  # a stray quote swallows lines up to here, then it is one bad row


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


def read_rows(path: Path, column: str | None = None) -> Iterator[Row | BadRow]:
    """Every row of a `.csv`, `.jsonl` or `.parquet` file.

    Args:
        path: the file; its ending says what it is.
        column: where the synopsis stands; None looks for the usual names.

    Raises:
        InputError: no such file, an ending not known, no rows, or no such column.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty.")
    readers = {
        ".csv": _read_csv,
        ".jsonl": _read_json_lines,
        ".ndjson": _read_json_lines,
        ".parquet": _read_parquet,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(readers)
        raise InputError(f"{path}: cannot tell what kind of file this is; known are {known}.")
    found = False
    for row in reader(path, column):
        found = True
        yield row
    if not found:
        raise InputError(f"{path} has no rows.")


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which columns of a file mean what."""

    text: str
    title: str | None
    genres: str | None

    @classmethod
    def find(cls, names: Sequence[str], path: Path, column: str | None) -> _Columns:
        """Columns by their usual names, whatever their case."""
        by_lower = {name.strip().lower(): name for name in reversed(names)}

        def first(usual: tuple[str, ...]) -> str | None:
            return next((by_lower[name] for name in usual if name in by_lower), None)

        text = first((column.lower(),) if column else TEXT_COLUMNS)
        if text is None:
            wanted = f"column {column!r}" if column else f"column named {', '.join(TEXT_COLUMNS)}"
            raise InputError(
                f"{path} has no {wanted}; it has {', '.join(names)}. Name one with --column."
            )
        return cls(text, first(TITLE_COLUMNS), first(GENRE_COLUMNS))

    def row(self, number: int, record: Mapping[str, object]) -> Row | BadRow:
        """A record read by these columns."""
        text = record.get(self.text)
        if text is None:
            text = ""
        if not isinstance(text, str):
            return BadRow(number, f"{self.text} is {type(text).__name__}, not text")
        if any("\ud800" <= char <= "\udfff" for char in text):
            return BadRow(number, "is not UTF-8")
        return Row(number, _text_of(record, self.title), _text_of(record, self.genres), text)


def _text_of(record: Mapping[str, object], name: str | None) -> str:
    value = record.get(name) if name is not None else None
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)
    return "" if value is None else str(value)


def _read_csv(path: Path, column: str | None) -> Iterator[Row | BadRow]:
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        lines = csv.reader(file)
        try:
            header = next(lines)
        except (StopIteration, csv.Error):
            raise InputError(f"{path} has no header line that can be read.") from None
        columns = _Columns.find(header, path, column)
        number = 0
        while True:
            number += 1
            try:
                values = next(lines)
            except StopIteration:
                return
            except csv.Error as error:
                yield BadRow(number, f"is not CSV ({error})")
                continue
            if len(values) != len(header):
                if values:
                    yield BadRow(
                        number, f"has {len(values)} fields where the header has {len(header)}"
                    )
                continue
            yield columns.row(number, dict(zip(header, values, strict=True)))


def _read_json_lines(path: Path, column: str | None) -> Iterator[Row | BadRow]:
    """Columns are found anew where a line has other keys than any before."""
    known: dict[tuple[str, ...], _Columns] = {}
    lacking: InputError | None = None
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                yield BadRow(number, "is not JSON")
                continue
            if not isinstance(record, dict):
                yield BadRow(number, "is not a JSON object")
                continue
            keys = tuple(record)
            try:
                columns = known.get(keys) or _Columns.find(keys, path, column)
            except InputError as error:
                lacking = lacking or error
                yield BadRow(number, "has no text")
                continue
            known[keys] = columns
            yield columns.row(number, record)
    if lacking and not known:
        raise lacking


def _read_parquet(path: Path, column: str | None) -> Iterator[Row | BadRow]:
    try:
        with parquet.ParquetFile(path) as file:
            columns = _Columns.find(file.schema_arrow.names, path, column)
            wanted = [name for name in (columns.text, columns.title, columns.genres) if name]
            number = 0
            for batch in file.iter_batches(columns=wanted):
                for record in batch.to_pylist():
                    number += 1
                    yield columns.row(number, record)
    except pa.ArrowException as error:
        raise InputError(f"{path} is not a Parquet file that can be read ({error}).") from error
