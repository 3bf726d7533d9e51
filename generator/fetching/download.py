"""One file, from the hub to the disk: goes on where it was cut, and is checked when it is whole."""

from __future__ import annotations

import hashlib
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO, NoReturn

import httpx2
from huggingface_hub import get_session
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # its __init__ has no __all__
    build_hf_headers,
    hf_raise_for_status,
)

from generator.fetching.errors import FetchError

if TYPE_CHECKING:
    from pathlib import Path

    from tqdm import tqdm

    from generator.fetching.hub import Hub, HubFile, Listing

_PIECE = 1 << 20
_PATIENCE = 30.0
"""Seconds without a byte, after which the line is given up."""
_FRUITLESS = 4
"""Attempts in a row that bring nothing; the rest before each is twice as long, from a second on."""


def is_there(file: HubFile, folder: Path) -> bool:
    """Whether the file is whole already, as the hub describes it."""
    place = folder / file.name
    return (
        place.is_file()
        and place.stat().st_size == file.size
        and _digest(place, file) == file.digest
    )


def part_of(file: HubFile, folder: Path) -> Path:
    """Where it is until it is whole; of another digest it is another place."""
    return folder / f"{file.name}.{file.digest[:12]}.part"


def bring(hub: Hub, listing: Listing, file: HubFile, folder: Path, bar: tqdm[NoReturn]) -> None:
    """Bring the file into the folder, from where an earlier call got to.

    Args:
        hub: where it is.
        listing: of which commit.
        file: of the listing.
        folder: that takes it.
        bar: moved on by each byte.

    Raises:
        FetchError: the hub gives it no more, or something else.
        OSError: the disk takes it no more.
    """
    part = part_of(file, folder)
    with part.open("ab") as opened:
        bar.update(opened.tell())
        fruitless, furthest = 0, opened.tell()
        while opened.tell() < file.size:
            lost = FetchError(f"{hub.endpoint} sends {file.name} no further")
            try:
                with hub.explaining():
                    _read_on(hub.address(listing, file.name), file, opened, bar)
            except FetchError as error:
                if not isinstance(error.__cause__, httpx2.TransportError):
                    raise
                lost = error
            fruitless = 0 if opened.tell() > furthest else fruitless + 1
            furthest = max(furthest, opened.tell())
            if fruitless == _FRUITLESS:
                raise lost
            if fruitless:
                time.sleep(2 ** (fruitless - 1))
    if _digest(part, file) != file.digest:
        part.unlink()
        raise FetchError(
            f"{file.name} came damaged (it has not the digest that the hub says) and was deleted: "
            "fetch it again"
        )
    part.replace(folder / file.name)


def _read_on(address: str, file: HubFile, part: BinaryIO, bar: tqdm[NoReturn]) -> None:
    """What follows on that part, until it ends or the line breaks."""
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    if there := part.tell():
        headers["Range"] = f"bytes={there}-"
    with get_session().stream("GET", address, headers=headers, timeout=_PATIENCE) as answer:
        hf_raise_for_status(answer)
        if there and answer.status_code != HTTPStatus.PARTIAL_CONTENT:  # from the beginning again
            _empty(part)
            bar.update(-there)
        for piece in answer.iter_raw():
            if part.tell() + len(piece) > file.size:
                _empty(part)
                raise FetchError(
                    f"{file.name} is longer than the {file.size} bytes that the hub says"
                )
            part.write(piece)
            bar.update(len(piece))
        part.flush()


def _empty(part: BinaryIO) -> None:
    part.seek(0)
    part.truncate()


def _digest(place: Path, file: HubFile) -> str:
    digest = hashlib.sha256()
    if file.algorithm == "git":  # which has no other digest of a small file
        digest = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    with place.open("rb") as opened:
        while piece := opened.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
