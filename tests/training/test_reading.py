"""Synopsis files as people have them, broken rows included."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyarrow import parquet

from training.corpus.reading import read_rows
from training.corpus.rows import BadRow, Row
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
    path.write_text("\n\ndescription,Story\nnot this,but this\n")
    assert list(read_rows(path, "story")) == [Row(1, "", "", "but this")]


def test_columns_of_one_name_give_the_first_that_holds_a_text(tmp_path: Path) -> None:
    """In each kind of file, and whatever the case and the spaces of the names."""
    names = ["title", "synopsis", "Synopsis "]
    works = [["One", "first", "second"], ["Two", " ", "only"], ["Three", "", ""]]
    table, lines, columnar = (tmp_path / f"works.{kind}" for kind in ("csv", "jsonl", "parquet"))
    table.write_text("\n".join(map(",".join, [names, *works])))
    lines.write_text(
        "\n".join(f'{{"title":"{a}","synopsis":"{b}","synopsis":"{c}"}}' for a, b, c in works)
    )
    columns = [pa.array(column) for column in zip(*works, strict=True)]
    parquet.write_table(pa.table(columns, names=["title", "synopsis", "synopsis"]), columnar)
    for path in (table, lines, columnar):
        notes: list[str] = []
        assert list(read_rows(path, note=notes.append)) == [
            Row(1, "One", "", "first"), Row(2, "Two", "", "only"), Row(3, "Three", "", ""),
        ]  # fmt: skip
        assert notes == [
            "has 2 columns named synopsis; of each row the first that holds something was taken"
        ]


def test_a_space_after_a_comma_belongs_to_neither_field(tmp_path: Path) -> None:
    path = tmp_path / "works.csv"
    path.write_text('title, synopsis\nOne, "A fox, an owl: ""friends"" at last."\n"Two",  plain\n')
    assert list(read_rows(path)) == [
        Row(1, "One", "", 'A fox, an owl: "friends" at last.'),
        Row(2, "Two", "", "plain"),
    ]


@pytest.mark.parametrize(("delimiter", "name"), [(";", "semicolons"), ("\t", "tabs")])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_spreadsheets_part_fields_by_semicolons_or_tabs(
    tmp_path: Path, delimiter: str, name: str, encoding: str
) -> None:
    path = tmp_path / "works.csv"
    rows = (("title", "synopsis"), ("One", '"A fox, an owl"'), ("Two", "A hare, alone"))
    path.write_text("\n".join(map(delimiter.join, rows)), encoding=encoding)
    notes: list[str] = []
    assert list(read_rows(path, note=notes.append)) == [
        Row(1, "One", "", "A fox, an owl"), Row(2, "Two", "", "A hare, alone"),
    ]  # fmt: skip
    assert f"has {name} between its fields" in notes


def test_commas_are_not_given_up_while_they_part_a_synopsis_off(tmp_path: Path) -> None:
    path = tmp_path / "works.csv"
    path.write_text("a;b\tc,synopsis\nd;e\tf,A fox; an owl;\ta hare\n")
    assert list(read_rows(path)) == [Row(1, "", "", "A fox; an owl;\ta hare")]


@pytest.mark.parametrize("last", ["", "\n", "\r\n", "\r"])
def test_a_file_that_ends_inside_a_quote_says_so(tmp_path: Path, last: str) -> None:
    path = tmp_path / "works.csv"
    path.write_text(f'title,synopsis\nOne,"first"\nTwo,"second\nThree,third{last}', newline="")
    assert list(read_rows(path)) == [
        Row(1, "One", "", "first"),
        BadRow(2, "has a quote that is never closed: all after it went with it"),
    ]
    path.write_text(f'title,synopsis\nOne,"first"{last}', newline="")
    assert list(read_rows(path)) == [Row(1, "One", "", "first")]


def test_nul_characters_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    table, lines = tmp_path / "works.csv", tmp_path / "works.jsonl"
    table.write_bytes(b"title,synopsis\nOne,fir\0st\nTw\0o,second\nThree,third\n")
    lines.write_text(
        '{"text": "fir\\u0000st"}\n{"title": "\\u0000", "text": ""}\n{"text": "third"}\n'
    )
    reason = "has a NUL character, which no text has"
    assert list(read_rows(table)) == [
        BadRow(1, reason), BadRow(2, reason), Row(3, "Three", "", "third")
    ]  # fmt: skip
    assert list(read_rows(lines)) == [BadRow(1, reason), BadRow(2, reason), Row(3, "", "", "third")]


def test_bad_csv_rows_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "works.csv"
    path.write_bytes(
        "title,synopsis\nOné,fírst\nTwo\nThree,third,more\n\n".encode()
        + b"Five,caf\xe9\nSix,sixth\n"
    )
    assert list(read_rows(path)) == [
        Row(1, "Oné", "", "fírst"),
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
        BadRow(4, "synopsis is not text"),
        Row(5, "", "", ""),
    ]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("works.csv", b"", "is empty"),
        ("works.csv", b"\n", "no header line"),
        ("works.csv", b'title,"synopsis\nOne,first\n', "ends inside a quote that begins in its"),
        ("works.csv", b"PK\x03\x04\x14\0\x06\0\x08\0!\n", "NUL characters where its columns"),
        ("works.csv", b"First," * 1_000 + b"last\n", "it has First, (First, )*…. Name one"),
        ("works.csv", b"a" * 1_000 + b"\n", "it has a{39}…. Name one"),
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
