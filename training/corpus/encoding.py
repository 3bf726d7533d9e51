"""How a file's bytes stand for characters, found without reading it into memory."""

from __future__ import annotations

import codecs
import json
import re
from functools import partial
from typing import TYPE_CHECKING

from training.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_OTHERS = {"cp1252": "Windows-1252", "cp932": "Shift-JIS"}
"""What files in no Unicode encoding are mostly in.

In this order: English with the apostrophes of Windows-1252 may fit Shift-JIS by chance, while few
Japanese texts keep clear of the five bytes that Windows-1252 leaves out.
"""
_PIECE = 2**16
"""Bytes read at a time."""
_ESCAPED = re.compile(r"[\udc80-\udcff]")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f\udc80-\udcff]")


def find_encoding(path: Path, note: Callable[[str], None]) -> str:
    """The codec that reads a text file: UTF-8 if it can be, else UTF-16 or -32, else what fits.

    A file with more characters of UTF-8 beyond ASCII than bytes that are none is UTF-8, and damaged
    in places. Whoever reads it, or one in an encoding not known, does so with
    `errors="surrogateescape"`, and finds those bytes as lone surrogates.

    Args:
        path: a file that is not empty.
        note: hears of every encoding but UTF-8.

    Raises:
        InputError: it begins as UTF-16 or UTF-32 and does not go on so.
    """
    with path.open("rb") as file:
        begins = json.detect_encoding(file.read(4))  # by a byte-order mark, or by where NULs stand
    if not begins.startswith("utf-8"):
        name = begins[:6].upper()
        if not _fits(path, begins):
            raise InputError(f"{path} begins as {name} and is broken later; save it as UTF-8.")
        note(f"is in {name}")
        return begins
    characters = strays = 0
    for piece in _decoded(path, "utf-8", "surrogateescape"):
        if not piece.isascii():
            characters += len(_BEYOND_ASCII.findall(piece))
            strays += len(_ESCAPED.findall(piece))
    if strays > characters:
        for encoding, name in _OTHERS.items():
            if _fits(path, encoding):
                note(f"is not UTF-8 and was read as {name}; if that is wrong, save it as UTF-8")
                return encoding
        note(f"is neither UTF-8 nor {' nor '.join(_OTHERS.values())}; save it as UTF-8")
    return "utf-8-sig"


def _fits(path: Path, encoding: str) -> bool:
    try:
        for _ in _decoded(path, encoding):
            pass
    except UnicodeDecodeError:
        return False
    return True


def _decoded(path: Path, encoding: str, errors: str = "strict") -> Iterator[str]:
    with path.open("rb") as file:
        yield from codecs.iterdecode(iter(partial(file.read, _PIECE), b""), encoding, errors)
