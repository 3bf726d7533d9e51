"""A corpus: its texts, what each is for, and the file that holds them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from training.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


class Split(StrEnum):
    """What a text is for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


IMAGINED = "imagined"
"""The domain of texts that a model invented, which no file holds."""


@dataclass(frozen=True, slots=True)
class Text:
    """One story of a corpus, and one line of its file."""

    text: str
    title: str
    domain: str
    """The name of the file it came from, without its ending."""
    split: Split


def write_corpus(texts: Sequence[Text], path: Path) -> None:
    """One JSON object a line: text, title, domain, split."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    with beside.open("w", encoding="utf-8") as file:
        file.writelines(map(_line, texts))
    beside.replace(path)


def append_corpus(texts: Iterable[Text], path: Path) -> None:
    """Further lines at the end of a file that `write_corpus` wrote."""
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(map(_line, texts)))


def whole_lines(path: Path) -> None:
    """Cuts off what stands behind the last line's end: a process may have died while it wrote."""
    with path.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def _line(text: Text) -> str:
    return json.dumps(asdict(text), ensure_ascii=False) + "\n"


def is_corpus(path: Path) -> bool:
    """Whether a file's first line is one that `write_corpus` writes; the rest may be damaged."""
    try:
        with path.open(encoding="utf-8") as file:
            return "split" in json.loads(file.readline())
    except (OSError, ValueError, TypeError):
        return False


def read_corpus(path: Path) -> list[Text]:
    """The texts of a file that `write_corpus` wrote.

    Raises:
        InputError: it is another kind of file.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file. Make it with `python -m training clean`.")
    try:
        with path.open(encoding="utf-8") as file:
            records = [json.loads(line) for line in file if line.strip()]
        texts = [
            Text(record["text"], record["title"], record["domain"], Split(record["split"]))
            for record in records
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is not a cleaned corpus ({error!r}). Make one with `python -m training clean`."
        ) from error
    if not texts:
        raise InputError(f"{path} is empty.")
    return texts
