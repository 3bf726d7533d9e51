"""Files in whatever encoding a program saved them: found, named, read as they were meant."""

from __future__ import annotations

import codecs
import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from training.corpus.reading import read_rows
from training.corpus.rows import BadRow, Row
from training.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

TITLE = "Café “Moon”"
TEXT = "The keeper’s owl — “Sooty” to her friends — counts the lamps."  # noqa: RUF001
CSV = f"title,synopsis\n{TITLE},{TEXT}\n"
JSON_LINES = json.dumps({"title": TITLE, "synopsis": TEXT}, ensure_ascii=False) + "\n"
OTHERS = "if that is wrong, save it as UTF-8"


def read(path: Path) -> tuple[list[Row | BadRow], list[str]]:
    notes: list[str] = []
    return list(read_rows(path, note=notes.append)), notes


@pytest.mark.parametrize(("name", "content"), [("a.csv", CSV), ("a.jsonl", JSON_LINES)])
@pytest.mark.parametrize(
    ("mark", "encoding", "says"),
    [
        (b"", "utf-8", []),
        (codecs.BOM_UTF8, "utf-8", []),
        (codecs.BOM_UTF16_LE, "utf-16-le", ["is in UTF-16"]),
        (codecs.BOM_UTF16_BE, "utf-16-be", ["is in UTF-16"]),
        (b"", "utf-16-le", ["is in UTF-16"]),
        (codecs.BOM_UTF32_LE, "utf-32-le", ["is in UTF-32"]),
        (b"", "cp1252", [f"is not UTF-8 and was read as Windows-1252; {OTHERS}"]),
    ],
)
def test_the_encoding_is_found_and_named(
    tmp_path: Path, name: str, content: str, mark: bytes, encoding: str, says: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(mark + content.encode(encoding))
    assert read(path) == ([Row(1, TITLE, "", TEXT)], says)


def test_what_is_not_windows_1252_may_be_shift_jis(tmp_path: Path) -> None:
    path = tmp_path / "works.csv"
    path.write_bytes("title,synopsis\nフクロウ,An owl counts the lamps.\n".encode("cp932"))
    rows, notes = read(path)
    assert rows == [Row(1, "フクロウ", "", "An owl counts the lamps.")]
    assert notes == [f"is not UTF-8 and was read as Shift-JIS; {OTHERS}"]


def test_one_damaged_row_does_not_make_a_utf_8_file_another(tmp_path: Path) -> None:
    path = tmp_path / "works.csv"
    path.write_bytes("title,synopsis\nÉté,déjà vu\n".encode() + b"Noir,caf\xe9\nCaf\xe9,noir\n")
    assert read(path) == (
        [Row(1, "Été", "", "déjà vu"), BadRow(2, "is not UTF-8"), BadRow(3, "is not UTF-8")],
        [],
    )


def test_an_encoding_that_cannot_be_found_is_said_and_its_rows_named(tmp_path: Path) -> None:
    path = tmp_path / "works.csv"
    path.write_bytes(b"title,synopsis\nOne,plain\nTwo,\x81 and \xff\n")
    assert read(path) == (
        [Row(1, "One", "", "plain"), BadRow(2, "is not UTF-8")],
        ["is neither UTF-8 nor Windows-1252 nor Shift-JIS; save it as UTF-8"],
    )


def test_a_character_split_between_two_pieces_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "works.csv"
    for odd in range(2):
        text = "x" * odd + "é" * 100_000
        path.write_text(f"synopsis\n{text}\n", encoding="utf-8")
        assert read(path) == ([Row(1, "", "", text)], [])


def test_utf_16_that_breaks_off_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "works.csv"
    path.write_bytes(CSV.encode("utf-16")[:-1])
    with pytest.raises(InputError, match="begins as UTF-16 and is broken later; save it as UTF-8"):
        read(path)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
@pytest.mark.parametrize("name", ["works.csv", "works.jsonl"])
def test_a_file_is_never_wholly_in_memory(tmp_path: Path, name: str, encoding: str) -> None:
    path = tmp_path / name
    text = ("It’s dark. " + "Wait. " * 30) * 50  # noqa: RUF001
    line = f"{text}\n" if name.endswith("csv") else f'{{"synopsis": "{text}"}}\n'
    with path.open("w", encoding=encoding) as file:
        file.write("synopsis\n" if name.endswith("csv") else "\n")
        file.writelines([line] * 1_000)
    tracemalloc.start()
    try:
        assert all(isinstance(row, Row) for row in read_rows(path))
        assert tracemalloc.get_traced_memory()[1] < path.stat().st_size / 4
    finally:
        tracemalloc.stop()
