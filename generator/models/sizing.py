"""What a model takes, as far as its folder says before its weights are read."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from generator.models.choosing import choose_device, choose_precision
from generator.models.plain_folder import ADAPTER, read_shape
from generator.models.quantised import packed
from generator.models.reading import check_files, one_sentence, open_weights, weight_files

if TYPE_CHECKING:
    from pathlib import Path

    from generator.models.choosing import Device, Precision
    from generator.models.shapes import Shape

_KEPT = {"bfloat16": 2, "float16": 2, "float32": 4}
"""Bytes of a weight, or of a number that a story keeps."""


def least_memory(
    folder: Path, *, device: Device, precision: Precision, slots: int, reach: int
) -> int:
    """Bytes that a model takes while it tells, and in 8 bits no less while it is loaded.

    Some megabytes beside, whatever its sizes are; in other numbers at most a matrix as its file has
    it. Where transformers reads it, as large as its files are.

    Args:
        folder: the model's.
        device: as `load_model` is told.
        precision: as `load_model` is told.
        reach: as `load_model` is told.
        slots: stories told together.

    Raises:
        ModelFolderError: it cannot be told, on this device or in this precision.
    """
    if (folder / ADAPTER).exists():
        return on_disk(folder)
    with one_sentence(folder):
        check_files(folder)
        shape = read_shape(folder) or _unusual_shape(folder)
        chosen = choose_precision(precision, choose_device(device), shape)
        context = min(reach, shape.max_position_embeddings)
        with open_weights(folder, shape) as tensors:
            if chosen == "int8":
                weighed = packed(shape, tensors, context, only_weighed=True)
                logits: int = 4 * slots * weighed.head.outputs
                return weighed.memory + weighed.kept(slots) + logits
            kept = _KEPT[chosen]
            weights = sum(prod(rows.shape) for rows in tensors.values())
            return kept * (weights + slots * shape.kept(context))


def _unusual_shape(folder: Path) -> Shape:
    from generator.models.described import shape_of  # noqa: PLC0415  # takes a second

    return shape_of(str(folder))


def on_disk(folder: Path) -> int:
    """Bytes of its weights' files.

    Raises:
        ModelFolderError: which those are is not to be told.
    """
    return sum(file.stat().st_size for file in weight_files(folder))
