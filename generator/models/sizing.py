"""What a model takes, as far as its folder says before its weights are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.models.choosing import choose_device, choose_precision
from generator.models.errors import ModelFolderError
from generator.models.gguf_file import gguf_of, read_header
from generator.models.plain_folder import read_shape
from generator.models.shapes import LSTMShape

if TYPE_CHECKING:
    from pathlib import Path

    from generator.models.choosing import Device, Precision
    from generator.models.shapes import Shape

_MOST_LAYERS = 1000
"""Each is some objects, however little it holds."""
_BYTES = {"int8": (1, 2), "bfloat16": (2, 2), "float16": (2, 2), "float32": (4, 4)}
"""Of a weight, and of a number that a story keeps."""


def least_memory(
    folder: Path, *, device: Device, precision: Precision, slots: int, reach: int
) -> int:
    """Bytes that a model takes at least while it tells.

    Where its config.json is not understood without transformers, as many as its weights' files have;
    of a GGUF file, four for each weight.

    Args:
        folder: the model's.
        device, precision, reach: as `load_model` is told.
        slots: stories told together.

    Raises:
        ModelFolderError: it cannot be told on this device or in this precision.
    """
    if (gguf := gguf_of(folder)) is not None:  # which transformers unpacks
        return _BYTES["float32"][0] * read_header(gguf).weights
    shape = read_shape(folder)
    if shape is None:
        return on_disk(folder)
    chosen = choose_precision(precision, choose_device(device), shape)
    weight, kept = _BYTES[chosen]
    if isinstance(shape, LSTMShape) and chosen == "int8":
        kept = 4  # there is little of it
    logits = 4 * shape.vocab_size if chosen == "int8" else 0
    context = min(reach, shape.max_position_embeddings)
    return weight * shape.fewest + slots * (kept * shape.kept(context) + logits)


def check_shape(folder: Path, shape: Shape) -> None:
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
    held = on_disk(folder) if gguf is None else read_header(gguf).weights
    if not 0 < shape.fewest <= held:  # each weight takes a byte at least
        raise ModelFolderError(
            f"config.json of {folder} asks for {shape.fewest} weights at least, and its weights are "
            f"too few: {held} bytes"
        )


def on_disk(folder: Path) -> int:
    """Bytes of its weights' files.

    Raises:
        ModelFolderError: which those are is not to be told.
    """
    if (gguf := gguf_of(folder)) is not None:
        return gguf.stat().st_size
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
