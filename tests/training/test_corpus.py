"""From files to a corpus: duplicates, splits that never leak, and the command itself."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path

import pytest

from training.__main__ import main
from training.corpus.cleaning import clean, table
from training.corpus.franchise import franchise_name
from training.corpus.rules import RULES, Drop
from training.corpus.texts import Split, read_corpus
from training.errors import InputError

STORIES = Path(__file__).parent.parent / "data" / "stories.csv"
DEFAULT = RULES["default"]


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("title", "synopsis"), *rows])
    return path


def rows_of(path: Path) -> list[tuple[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["title"], row["synopsis"]) for row in csv.DictReader(file)]


def test_a_franchise_is_wholly_in_one_split() -> None:
    texts = clean([STORIES], DEFAULT).texts
    splits: dict[str, set[Split]] = {}
    for text in texts:
        splits.setdefault(franchise_name(text.title), set()).add(text.split)
    assert {len(found) for found in splits.values()} == {1}
    assert {split for found in splits.values() for split in found} == set(Split)


def test_later_rows_move_no_earlier_one_to_another_split(tmp_path: Path) -> None:
    before = clean([STORIES], DEFAULT).texts
    newcomer = before[0].text.replace(" a ", " one ").replace(" the ", " that ")
    longer = write(tmp_path / "stories.csv", [*rows_of(STORIES), ("Something new", newcomer)])
    after = clean([longer], DEFAULT).texts
    assert after[:-1] == before
    assert after[-1].title == "Something new"


def test_wider_files_change_nothing_in_the_targets_splits_and_leak_nothing(tmp_path: Path) -> None:
    alone = clean([STORIES], DEFAULT).texts
    held_out = [text for text in alone if text.split is not Split.TRAIN]
    stranger = (
        "A quiet harbour town has one rule that nobody may break, which is never to look at the "
        "sea when the green moon rises over it."
    )
    wider = write(
        tmp_path / "wider.csv",
        [
            ("Something else", stranger),
            (f"{held_out[0].title} 5th Season", stranger.replace("green", "black") + " Why?"),
            ("The same under another name", "Now retold by us: " + held_out[-1].text),
            (f"{franchise_name(held_out[1].title)} zero", "Another tale: " + stranger),
        ],
    )
    cleaned = clean([STORIES, wider], DEFAULT)
    assert cleaned.texts[: len(alone)] == alone
    added = cleaned.texts[len(alone) :]
    assert [(text.title, text.domain, text.split) for text in added] == [
        ("Something else", "wider", Split.TRAIN)
    ]
    dropped = cleaned.files[1].dropped
    assert dropped[Drop.LEAK] + dropped[Drop.NEAR_DUPLICATE] == 3


def test_people_of_one_held_out_work_are_recognised(tmp_path: Path) -> None:
    """Though no second work of the target names them."""
    alone = clean([STORIES], DEFAULT).texts
    held_out = next(text for text in alone if text.split is Split.TEST)
    people = "At night Qwertilda meets Zumbrano, and both fear Old Xanthippo."
    rows = [
        (title, f"{text} {people}" if title == held_out.title else text)
        for title, text in rows_of(STORIES)
    ]
    target = write(tmp_path / "stories.csv", rows)
    told = (
        "Long before, a boy called Zumbrano stole the boat of Xanthippo and hid with Qwertilda in "
        "the marsh, where the two of them learned to talk with the herons and never came home."
    )
    wider = write(tmp_path / "wider.csv", [("An unlike name", told)])
    assert clean([target, wider], DEFAULT).files[1].dropped[Drop.LEAK] == 1


def test_duplicates_are_dropped_unless_asked_for(tmp_path: Path) -> None:
    story = rows_of(STORIES)[0][1]
    near = story.replace("falls asleep", "fell asleep")
    path = write(tmp_path / "works.csv", [("A", story), ("B", story.upper()), ("C", near)])
    cleaned = clean([path], DEFAULT)
    assert len(cleaned.texts) == 1
    assert cleaned.files[0].dropped == Counter({Drop.DUPLICATE: 1, Drop.NEAR_DUPLICATE: 1})
    assert len(clean([path], DEFAULT, duplicates=True).texts) == 3


def test_nothing_left_is_one_clear_error(tmp_path: Path) -> None:
    path = write(tmp_path / "works.csv", [("A", "Too short.")])
    with pytest.raises(InputError, match="Nothing is left"):
        clean([path], DEFAULT)


def test_nothing_left_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "works.csv"
    path.write_bytes(b"title,synopsis\nA,Short\x81 \xff\nB,Too short.\n")
    assert main(["clean", str(path), "--out", str(tmp_path / "out.jsonl")]) == 2
    said = capsys.readouterr().err
    for why in (
        "dropped, too short", "works.csv is neither UTF-8 nor Windows-1252", "row 1 is not UTF-8",
    ):  # fmt: skip
        assert why in said


def test_what_was_found_out_of_a_file_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "works.jsonl"
    story = rows_of(STORIES)[0][1]
    path.write_bytes(
        f'{{"title": "Café", "text": "{story}", "text": ""}}\n{{"text": "", "text": ""}}\n'
        '{"id": 1, "text": "", "text": ""}\n'.encode("cp1252")
    )
    out = tmp_path / "out.jsonl"
    assert main(["clean", str(path), "--out", str(out)]) == 0
    assert [text.title for text in read_corpus(out)] == ["Café"]
    shown = capsys.readouterr().out
    assert shown.count("works.jsonl is not UTF-8 and was read as Windows-1252") == 1
    assert shown.count("works.jsonl has 2 columns named text") == 1


def test_a_title_that_cannot_be_written_spoils_its_row_alone(tmp_path: Path) -> None:
    stories = rows_of(STORIES)
    path = tmp_path / "works.jsonl"
    path.write_text(
        f'{{"title": "\\ud800", "text": "{stories[0][1]}"}}\n'
        f'{{"title": "Whole", "text": "{stories[-1][1]}"}}\n'
    )
    out = tmp_path / "out.jsonl"
    assert main(["clean", str(path), "--out", str(out)]) == 0
    assert [text.title for text in read_corpus(out)] == ["Whole"]


def test_the_table_says_what_was_dropped_and_names_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "works.csv"
    path.write_text(f'title,synopsis\nA,"{rows_of(STORIES)[0][1]}"\nB,Too short.\nC\n')
    shown = table(clean([path], DEFAULT).files)
    assert "dropped, too short" in shown
    assert "works.csv, row 3 has 1 fields where the header has 2" in shown


def test_the_command_writes_a_corpus_that_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "corpus.jsonl"
    assert main(["clean", str(STORIES), "--out", str(out)]) == 0
    assert read_corpus(out) == clean([STORIES], DEFAULT).texts
    assert "kept for train" in capsys.readouterr().out


def test_an_unusable_file_ends_the_command_with_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["clean", str(tmp_path / "none.csv"), "--out", str(tmp_path / "out.jsonl")]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"{tmp_path / 'none.csv'}: no such file."


def test_a_place_that_cannot_be_written_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["clean", str(STORIES), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"{tmp_path}: Is a directory"


def test_whoever_waits_sees_what_is_read_and_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(STORIES), str(tmp_path / "more.csv")]
    shutil.copy(*files)
    assert main(["clean", *files, "--out", str(tmp_path / "out.jsonl")]) == 0
    said = capsys.readouterr().err
    for what in (
        "Reading stories.csv: ", "Finding franchises", "Comparing more.csv with stories.csv: ",
    ):  # fmt: skip
        assert what in said


@pytest.mark.parametrize("content", ["", "not json\n", '{"text": "a"}\n', "[1]\n"])
def test_what_is_no_corpus_is_one_clear_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=r"is empty|not a cleaned corpus"):
        read_corpus(path)
