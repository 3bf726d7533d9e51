"""What a folder holds, or the hub: a model's description and its weights, not yet read."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from generator.models.errors import ModelFolderError
from generator.models.gguf_file import gguf_of, read_header
from generator.models.gguf_model import open_gguf
from generator.models.plain_folder import ADAPTER, read_plain
from generator.models.safetensors_file import SHARDED, WHOLE, open_safetensors
from generator.models.weights import fitting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from generator.models.described import Described
    from generator.models.plain_folder import PlainFolder
    from generator.models.reference import Reference
    from generator.models.rows import Rows
    from generator.models.shapes import Shape

_REFUSALS = (OSError, TypeError, ValueError, LookupError, ArithmeticError, RuntimeError)
"""What is said of a folder that cannot be read."""
_MOST_LAYERS = 1000
"""Each is some objects, however little it holds."""
LONGEST_TEXT = 64 << 20
"""Bytes of a file of a model folder that is read as a whole."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A model that can be read."""

    shape: Shape
    described: PlainFolder | Described
    """Its tokenizer and its settings."""
    tensors: Mapping[str, Rows]
    """Its weights, as `weights.fitting` gives them."""
    opened: Reference | None = None
    """Transformers' own, where nothing else could read it."""


@contextmanager
def open_model(where: str | Path) -> Iterator[Found]:
    """A model folder, or a model of the hub; its weights can be read as long as this is open.

    Transformers is asked only for what is not known here: for settings or a tokenizer that are
    unusual, and for the whole model where it comes from the hub, or with an adapter.

    Raises:
        ModelFolderError: it is missing, damaged, or of a kind that is not told here.
        Exception: whatever else is said of what cannot be read.
    """
    folder = Path(where)
    if folder.is_dir():
        check_files(folder)
    elif folder.is_absolute() or str(where).startswith(".") or str(where).count("/") > 1:
        raise ModelFolderError(f"there is no model folder {where}")
    if not folder.is_dir() or (folder / ADAPTER).exists():
        yield _by_transformers(str(where))
        return
    plain = read_plain(folder)
    shape, described = _described(folder) if plain is None else (plain.shape, plain)
    with open_weights(folder, shape) as tensors:
        yield Found(shape=shape, described=described, tensors=tensors)


@contextmanager
def open_weights(folder: Path, shape: Shape) -> Iterator[Mapping[str, Rows]]:
    """A folder's weights, as `weights.fitting` gives them, for as long as this is open.

    Raises:
        ModelFolderError: there are fewer than the shape has.
        Exception: whatever else is said of what cannot be read.
    """
    _check_shape(folder, shape)
    gguf = gguf_of(folder)
    with open_safetensors(folder) if gguf is None else open_gguf(gguf, shape) as given:
        yield fitting(shape, given)


def weight_files(folder: Path) -> list[Path]:
    """The files that hold its weights, as far as they are there.

    Raises:
        ModelFolderError: which those are is not to be told.
    """
    gguf = gguf_of(folder)
    return [*filter(Path.is_file, folder.glob("*.safetensors"))] if gguf is None else [gguf]


@contextmanager
def one_sentence(where: str | Path) -> Iterator[None]:
    """What is said meanwhile of a folder that cannot be read becomes a `ModelFolderError`."""
    try:
        yield
    except _REFUSALS as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelFolderError(f"the model {where} cannot be loaded: {reason}") from error


def _described(folder: Path) -> tuple[Shape, Described]:
    """By transformers, but for the weights."""
    from generator.models.described import (  # noqa: PLC0415  # takes a second
        Described,
        config_of,
        shape_of,
    )

    config = config_of(str(folder))
    shape = shape_of(str(folder), config)
    if getattr(config, "quantization_config", None):
        raise ModelFolderError(
            f"the weights of {folder} are packed: take the model that it was made from, or a GGUF"
        )
    return shape, Described.read(str(folder), config)


def _by_transformers(where: str) -> Found:
    from generator.models.described import config_of, shape_of  # noqa: PLC0415  # the same
    from generator.models.reference import Reference  # noqa: PLC0415  # takes seconds

    config = config_of(where)
    shape = shape_of(where, config)
    opened = Reference.load(where, config)
    tensors = fitting(shape, dict(opened.model.named_parameters()))
    return Found(shape=shape, described=opened, tensors=tensors, opened=opened)


def check_files(folder: Path) -> None:
    """Looks whether a folder's files are there to be read: a pipe, or a device, would never end.

    Raises:
        ModelFolderError: one is missing, is no file, or is too large to be read as a whole.
    """
    if (gguf := gguf_of(folder)) is not None:
        read_header(gguf)
    else:
        for needed in ("config.json", WHOLE, "tokenizer.json"):
            other = SHARDED if needed == WHOLE else needed
            if not (folder / needed).is_file() and not (folder / other).is_file():
                raise ModelFolderError(f"the model folder {folder} has no {needed}")
    for file in filter(Path.is_file, folder.glob("*.json")):
        if (size := file.stat().st_size) > LONGEST_TEXT:
            has = f"{size >> 20} MiB; a model's settings and tokens take at most"
            raise ModelFolderError(f"{file} has {has} {LONGEST_TEXT >> 20} MiB")


def _check_shape(folder: Path, shape: Shape) -> None:
    """The weights must be there before room is made for them: a config may promise any number.

    Raises:
        ModelFolderError: they are not.
    """
    if shape.layers > _MOST_LAYERS:
        raise ModelFolderError(
            f"config.json of {folder} asks for {shape.layers} layers; at most {_MOST_LAYERS} can "
            "be told"
        )
    gguf = gguf_of(folder)
    if gguf is None:
        held = sum(file.stat().st_size for file in weight_files(folder))
    else:
        held = read_header(gguf).weights
    if not 0 < shape.fewest <= held:  # each weight takes a byte at least
        raise ModelFolderError(
            f"config.json of {folder} asks for {shape.fewest} weights at least, and its weights "
            f"are too few: {held} bytes"
        )
