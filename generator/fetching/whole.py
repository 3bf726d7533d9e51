"""A model from the hub to its folder, which is there when it is whole and not before."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tqdm import tqdm

from generator.fetching.choosing import (
    CONFIG,
    INDEX,
    gguf_of,
    has_safetensors,
    is_ours,
    settings_of,
    weights_of,
)
from generator.fetching.download import bring, is_there, part_of
from generator.fetching.errors import FetchError
from generator.models.errors import ModelFolderError
from generator.models.gguf_file import TOLD, read_header
from generator.models.gguf_file import gguf_of as gguf_in
from generator.models.plain_folder import read_shape
from generator.models.reading import LONGEST_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from generator.fetching.hub import Hub, HubFile, Listing

_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_SPARE = 64 << 20
"""Bytes of the disk that are left to others."""
_SMALL = 10_000
"""Bytes that are not worth a word."""
_GB = 10**9
_QUIET = 10.0
"""Seconds between two lines of progress where there is no terminal."""


def fetch(hub: Hub, models: Path, *, file: str | None = None, force: bool = False) -> Path:
    """Bring the hub's model into the folder of models.

    Args:
        hub: and the model's name there; the folder is named as its last part.
        models: the folder of models.
        file: which GGUF file, where it has several.
        force: replace the folder of this name.

    Returns:
        The model's folder.

    Raises:
        FetchError: it cannot be had, or could not be told.
        KeyboardInterrupt: what came stays, and the next call goes on from it.
    """
    name = hub.name.rpartition("/")[2]
    if not _NAME.fullmatch(name):
        raise FetchError(f"{hub.name!r} is no model's name; one looks like OWNER/MODEL")
    if (models / CONFIG).exists():
        raise FetchError(f"{models} is a model itself: say --models, a folder of them")
    # The dot keeps the registry off it, the ending keeps it off others' folders, such as .ssh.
    target, begun = models / name, models / f".{name}.fetching"
    if os.path.lexists(target) and not force:
        raise FetchError(f"{target} is there already; --force replaces it")
    try:
        if begun.is_symlink():
            raise FetchError(f"{begun} is a link: what is behind it is not written to; remove it")
        begun.mkdir(parents=True, exist_ok=True)
        with _alone(begun, name):
            _refuse_strangers(begun)
            _fill(hub, hub.list(), begun, file)
            _put(begun, target)
    except OSError as error:
        raise FetchError(
            f"{error.filename or begun} cannot be written: {error.strerror}"
        ) from error
    return target


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    """Nobody else writes into it meanwhile."""
    lock = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise FetchError(f"{name} is being fetched already") from None
    finally:
        os.close(lock)


def _refuse_strangers(folder: Path) -> None:
    """What no fetch wrote would come into the model's folder, or be deleted."""
    for there in folder.iterdir():
        if there.is_symlink() or not there.is_file() or not is_ours(there.name):
            raise FetchError(f"{there} is not of a fetch: move it away")


def _fill(hub: Hub, listing: Listing, folder: Path, wanted: str | None) -> None:
    """Bring all that the model needs; what says whether it can be told comes first."""
    if wanted is None and has_safetensors(listing):
        settings = settings_of(listing)
        _check_names(hub, settings)
        first = [file for file in settings if file.name in {CONFIG, INDEX}]
        _bring_all(hub, listing, first, folder)
        _check_config(hub, folder)
        files = [*settings, *weights_of(listing, folder / INDEX)]
    else:
        files = [gguf_of(listing, hub.name, wanted)]
        kind = hub.architecture()
        if kind is not None and kind not in TOLD:
            raise FetchError(
                f"{hub.name} is of the kind {kind!r}; from GGUF, {', '.join(TOLD)} are told"
            )
    kept = {place.name for file in files for place in (folder / file.name, part_of(file, folder))}
    for there in list(folder.iterdir()):
        if there.name not in kept:  # of an earlier call for another revision or file
            there.unlink()
    _say(hub, listing, files, folder)
    _bring_all(hub, listing, files, folder)
    if (gguf := gguf_in(folder)) is not None:
        try:
            read_header(gguf)
        except ModelFolderError as error:
            raise FetchError(f"{hub.name} could not be told: {error}") from error


def _check_names(hub: Hub, settings: list[HubFile]) -> None:
    names = {file.name for file in settings}
    for needed in (CONFIG, "tokenizer.json"):
        if needed not in names:
            raise FetchError(f"{hub.name} has no {needed}, without which it could not be told")
    for file in settings:
        if file.size > LONGEST_TEXT:
            raise FetchError(
                f"{file.name} has {_words(file.size)}, more than settings and tokens take"
            )


def _check_config(hub: Hub, folder: Path) -> None:
    """Raises what would keep the model from being told, before its weights are fetched."""
    try:
        if read_shape(folder) is not None:
            return
        from generator.models.described import config_of, shape_of  # noqa: PLC0415  # takes a second

        config = config_of(str(folder))
        packed = getattr(config, "quantization_config", None)
        shape_of(str(folder), config)
    except ModelFolderError as error:
        reason = str(error).removeprefix(f"{folder}: ")
        raise FetchError(f"{hub.name} could not be told: {reason}") from error
    except Exception as error:  # whatever transformers says of a configuration
        reason = str(error).strip().partition("\n")[0]
        raise FetchError(f"{CONFIG} of {hub.name} cannot be read: {reason}") from error
    if packed:
        raise FetchError(
            f"{hub.name} has its weights packed: take the model that it was made from, or a GGUF"
        )


def _say(hub: Hub, listing: Listing, files: list[HubFile], folder: Path) -> None:
    """What comes and how much of it, and whether there is room.

    Raises:
        FetchError: there is none.
    """
    left, size = _left(files, folder), sum(file.size for file in files)
    names = ", ".join(file.name for file in files)
    here = f", of which {_words(size - left)} are here" if size - left > _SMALL else ""
    print(f"{hub.name} at {listing.commit[:12]}: {names}; {_words(size)}{here}", flush=True)
    free = shutil.disk_usage(folder).free
    if left + _SPARE > free:
        raise FetchError(
            f"{hub.name} takes {_words(left)} more, and {folder.parent} has {_words(free)} left"
        )


def _left(files: list[HubFile], folder: Path) -> int:
    """Bytes that are still to come."""
    here = 0
    for file in files:
        places = (folder / file.name, part_of(file, folder))
        here += min(file.size, sum(place.stat().st_size for place in places if place.is_file()))
    return sum(file.size for file in files) - here


def _bring_all(hub: Hub, listing: Listing, files: list[HubFile], folder: Path) -> None:
    """Those that are not there yet."""
    lacking = [file for file in files if not is_there(file, folder)]
    with tqdm(
        total=sum(file.size for file in lacking),
        unit="B",
        unit_scale=True,
        disable=not lacking,
        mininterval=0.1 if sys.stderr.isatty() else _QUIET,
        ascii=not sys.stderr.isatty(),
    ) as bar:
        for file in lacking:
            bring(hub, listing, file, folder, bar)


def _put(begun: Path, target: Path) -> None:
    """In the place of what was there, which goes when the new one stands."""
    old = target.with_name(f".{target.name}.replaced")
    _remove(old)
    if os.path.lexists(target):
        target.rename(old)
    begun.rename(target)
    _remove(old)


def _remove(place: Path) -> None:
    """Of a link only itself; `rmtree` does nothing about one, nor about a file."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def _words(size: int) -> str:
    return f"{size / 1e6:.2f} MB" if size < _GB else f"{size / _GB:.2f} GB"
