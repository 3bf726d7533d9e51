"""Synopsis files as people have them: CSV, JSON Lines or Parquet, one row after another."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import parquet

from training.corpus.encoding import find_encoding
from training.corpus.rows import BadRow, Columns, Row
from training.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TextIO

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}

csv.field_size_limit(2**24)  # a stray quote swallows lines up to here, then it is one bad row


def _unheard(_: str) -> None:
    pass


def read_rows(
    path: Path, column: str | None = None, note: Callable[[str], None] = _unheard
) -> Iterator[Row | BadRow]:
    """Every row of a `.csv`, `.jsonl` or `.parquet` file, which may be larger than memory.

    Args:
        path: the file; its ending says what it is.
        column: where the synopsis stands; None looks for the usual names.
        note: hears what had to be found out about the file, as "is in UTF-16"; the same may come
            more than once.

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
    for row in reader(path, column, note):
        found = True
        yield row
    if not found:
        raise InputError(f"{path} has no rows.")


class _Csv:
    """A CSV file read by one delimiter, the header first."""

    def __init__(self, file: TextIO, delimiter: str) -> None:
        file.seek(0)
        self.is_cut_off = False
        """Whether the row last read ended with the file, inside a quote."""
        # A space after a comma belongs to neither field, and a quote behind it is one.
        self._rows = csv.reader(self._lines(file), delimiter=delimiter, skipinitialspace=True)

    def _lines(self, file: TextIO) -> Iterator[str]:
        yield from file
        self.is_cut_off = True  # asked for one more, which happens within a row or after the last

    def columns(self, path: Path, column: str | None) -> Columns:
        """Those that the header names.

        Raises:
            InputError: it cannot be read, or none of them is the synopsis.
        """
        try:
            header = next(filter(None, self._rows), None)  # blank lines may stand before it
        except csv.Error:
            header = None
        if header is None:
            raise InputError(f"{path} has no header line that can be read.")
        if self.is_cut_off:
            raise InputError(f"{path} ends inside a quote that begins in its header; close it.")
        return Columns.find(header, path, column)

    def row(self) -> list[str] | None:
        """The next row, None after the last.

        Raises:
            csv.Error: that row cannot be read; the next may be.
        """
        return next(self._rows, None)


def _read_csv(
    path: Path, column: str | None, note: Callable[[str], None]
) -> Iterator[Row | BadRow]:
    encoding = find_encoding(path, note)
    with path.open(newline="", encoding=encoding, errors="surrogateescape") as file:
        rows, columns = _header(file, path, column, note)
        width = len(columns.names)
        number = 0
        while True:
            number += 1
            try:
                values = rows.row()
            except csv.Error as error:
                yield BadRow(number, f"is not CSV ({error})")
                continue
            if values is None:
                return
            if rows.is_cut_off:
                yield BadRow(number, "has a quote that is never closed: all after it went with it")
            elif len(values) == width:
                yield columns.row(number, values)
            elif values:
                yield BadRow(number, f"has {len(values)} fields where the header has {width}")


def _header(
    file: TextIO, path: Path, column: str | None, note: Callable[[str], None]
) -> tuple[_Csv, Columns]:
    """The file behind its header, by the first delimiter that sets a synopsis column apart."""
    refusals: list[InputError] = []
    for delimiter, name in _DELIMITERS.items():
        rows = _Csv(file, delimiter)
        try:
            columns = rows.columns(path, column)
        except InputError as error:
            refusals.append(error)
            continue
        if delimiter != ",":
            note(f"has {name} between its fields")
        _tell_repeated(columns, note)
        return rows, columns
    raise refusals[0]


def _tell_repeated(columns: Columns, note: Callable[[str], None]) -> None:
    for what in columns.repeated:
        note(what)


def _read_json_lines(
    path: Path, column: str | None, note: Callable[[str], None]
) -> Iterator[Row | BadRow]:
    """Columns are found anew where a line has other keys than any before."""
    known: dict[tuple[str, ...], Columns] = {}
    lacking: InputError | None = None
    encoding = find_encoding(path, note)
    # An object becomes a tuple of its keys and values, since a key may stand in it twice.
    decode = json.JSONDecoder(object_pairs_hook=tuple).decode
    with path.open(encoding=encoding, errors="surrogateescape") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = decode(line)
            except (ValueError, RecursionError):
                yield BadRow(number, "is not JSON")
                continue
            if not isinstance(record, tuple):
                yield BadRow(number, "is not a JSON object")
                continue
            keys = tuple(key for key, _ in record)
            if keys not in known:
                try:
                    known[keys] = Columns.find(keys, path, column)
                except InputError as error:
                    lacking = lacking or error
                    yield BadRow(number, "has no text")
                    continue
                _tell_repeated(known[keys], note)
            yield known[keys].row(number, [value for _, value in record])
    if lacking and not known:
        raise lacking


def _read_parquet(
    path: Path, column: str | None, note: Callable[[str], None]
) -> Iterator[Row | BadRow]:
    try:
        with parquet.ParquetFile(path) as file:
            columns = Columns.find(file.schema_arrow.names, path, column)
            _tell_repeated(columns, note)
            places = [*columns.text, *columns.title, *columns.genres]
            wanted = list({columns.names[place] for place in places})
            number = 0
            for batch in file.iter_batches(columns=wanted):
                columns = Columns.find(batch.schema.names, path, column)
                for values in zip(*(part.to_pylist() for part in batch.columns), strict=True):
                    number += 1
                    yield columns.row(number, values)
    except pa.ArrowException as error:
        raise InputError(f"{path} is not a Parquet file that can be read ({error}).") from error
