"""Synopsis files as people have them, broken rows included."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyarrow import parquet

from training.corpus.reading import BadRow, Row, read_rows
from training.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = [
    {"Name": "Fox Fire", "Genders": "Drama", "sypnopsis": "A fox lights the lanterns."},
    {"Name": "Fox Fire 2", "Genders": "Comedy", "sypnopsis": 'She said "again",\nand again.'},
]
ROWS = [
    Row(1, "Fox Fire", "Drama", "A fox lights the lanterns."),
    Row(2, "Fox Fire 2", "Comedy", 'She said "again",\nand again.'),
]


def test_csv_is_read_by_the_usual_column_names(tmp_path: Path) -> None:
    path = tmp_path / "works.csv"
    path.write_text(
        "\ufeffName,Genders,sypnopsis\n"
        "Fox Fire,Drama,A fox lights the lanterns.\n"
        'Fox Fire 2,Comedy,"She said ""again"",\nand again."\n',
        encoding="utf-8",
    )
    assert list(read_rows(path)) == ROWS


def test_json_lines_are_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "works.jsonl"
    path.write_text("\n\n".join(json.dumps(record) for record in RECORDS), encoding="utf-8")
    rows = list(read_rows(path))
    assert [row.text for row in rows if isinstance(row, Row)] == [row.text for row in ROWS]


def test_a_key_may_be_missing_from_the_first_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "works.jsonl"
    records = [{"id": 1}, {"text": "A tale."}, {"title": "Fox", "text": "Another.", "genre": "x"}]
    path.write_text("\n".join(map(json.dumps, records)))
    assert list(read_rows(path)) == [
        BadRow(1, "has no text"), Row(2, "", "", "A tale."), Row(3, "Fox", "x", "Another.")
    ]  # fmt: skip


def test_parquet_is_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "works.parquet"
    parquet.write_table(pa.Table.from_pylist(RECORDS), path)
    assert list(read_rows(path)) == ROWS


def test_genres_may_be_a_list(tmp_path: Path) -> None:
    path = tmp_path / "works.jsonl"
    path.write_text(json.dumps({"overview": "A tale.", "genres": ["Drama", "Kids"]}))
    assert list(read_rows(path)) == [Row(1, "", "Drama, Kids", "A tale.")]


def test_a_column_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "works.csv"
    path.write_text("description,Story\nnot this,but this\n")
    assert list(read_rows(path, "story")) == [Row(1, "", "", "but this")]


def test_bad_csv_rows_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "works.csv"
    path.write_bytes(
        b"title,synopsis\nOne,first\nTwo\nThree,third,more\n\nFive,caf\xe9\nSix,sixth\n"
    )
    assert list(read_rows(path)) == [
        Row(1, "One", "", "first"),
        BadRow(2, "has 1 fields where the header has 2"),
        BadRow(3, "has 3 fields where the header has 2"),
        BadRow(5, "is not UTF-8"),
        Row(6, "Six", "", "sixth"),
    ]


def test_bad_json_rows_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "works.jsonl"
    path.write_text('{"synopsis": "first"}\n{oops\n["list"]\n{"synopsis": 5}\n{"synopsis": null}\n')
    assert list(read_rows(path)) == [
        Row(1, "", "", "first"),
        BadRow(2, "is not JSON"),
        BadRow(3, "is not a JSON object"),
        BadRow(4, "synopsis is int, not text"),
        Row(5, "", "", ""),
    ]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("works.csv", b"", "is empty"),
        ("works.csv", b"title,synopsis\n", "has no rows"),
        ("works.csv", b"title,story\nOne,first\n", "it has title, story"),
        ("works.jsonl", b'{"title": "One"}\n', "it has title"),
        ("works.parquet", b"PAR1 but not really", "not a Parquet file"),
        ("works.xlsx", b"PK", "known are .csv"),
    ],
)
def test_an_unusable_file_is_one_clear_error(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        list(read_rows(path))


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(read_rows(tmp_path / "none.csv"))
