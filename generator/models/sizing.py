"""What a model takes, as far as its folder says before its weights are read."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from generator.models.choosing import choose_device, choose_precision
from generator.models.packed import TABLES
from generator.models.plain_folder import ADAPTER, read_shape
from generator.models.reading import one_sentence, open_weights, weight_files
from generator.models.shapes import LSTMShape
from generator.models.weights import weights_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from generator.models.choosing import Device, Precision
    from generator.models.rows import Rows
    from generator.models.shapes import Shape

_KEPT = {"int8": 2, "bfloat16": 2, "float16": 2, "float32": 4}
"""Bytes of a number that a story keeps; but in 8 bits, of a weight too."""


def least_memory(
    folder: Path, *, device: Device, precision: Precision, slots: int, reach: int
) -> int:
    """Bytes that a model takes at least while it tells: nearly all that it takes.

    While it is loaded, one matrix more; where transformers reads it, as large as its files are.

    Args:
        folder: the model's.
        device, precision, reach: as `load_model` is told.
        slots: stories told together.

    Raises:
        ModelFolderError: it cannot be told, on this device or in this precision.
    """
    if (folder / ADAPTER).exists():
        return on_disk(folder)
    with one_sentence(folder):
        shape = read_shape(folder) or _unusual_shape(folder)
        chosen = choose_precision(precision, choose_device(device), shape)
        context = min(reach, shape.max_position_embeddings)
        kept, logits = _KEPT[chosen], 0
        if chosen == "int8":
            logits = 4 * shape.vocab_size
            if isinstance(shape, LSTMShape):
                kept = _KEPT["float32"]  # there is little of it
        with open_weights(folder, shape) as tensors:
            if chosen == "int8":
                weights = _packed(shape, tensors, context)
            else:
                weights = kept * sum(prod(rows.shape) for rows in tensors.values())
        return weights + slots * (kept * shape.kept(context) + logits)


def _packed(shape: Shape, tensors: Mapping[str, Rows], context: int) -> int:
    """Bytes of the weights in 8 bits, without what is added to make sizes even."""
    _, head, embedding = weights_of(shape, None).names
    size = 0
    for name, rows in tensors.items():
        count = prod(rows.shape)
        if name == embedding:
            known = rows.dtype in TABLES and not isinstance(shape, LSTMShape)
            size += count * (rows.dtype.itemsize if known else 4)
            size += 0 if head in tensors else count
        elif len(rows.shape) == 1:
            size += 4 * count
        elif name.endswith(".wpe.weight"):
            size += 4 * context * rows.shape[1]
        else:
            size += count
    return size


def _unusual_shape(folder: Path) -> Shape:
    from generator.models.described import shape_of  # noqa: PLC0415  # takes a second

    return shape_of(str(folder))


def on_disk(folder: Path) -> int:
    """Bytes of its weights' files.

    Raises:
        ModelFolderError: which those are is not to be told.
    """
    return sum(file.stat().st_size for file in weight_files(folder))
