"""A folder's GGUF file: what its header says, and where its tensors lie.

What reads such a file elsewhere takes each count in it at its word; here every one is held against
what the file has. The format is ggml's (docs/gguf.md of its repository).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from generator.models.errors import ModelFolderError
from generator.models.shapes import GPT2_KIND, LLAMA_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

TOLD = (GPT2_KIND, *LLAMA_KINDS)
"""Architectures that are told from such a file."""
_LONGEST_HEADER = 64 << 20
"""Bytes; that of a Qwen2 with its 150,000 tokens has 6 million."""
_MOST_PAIRS = 4096
_MOST_VALUES = 1_000_000
"""In all lists together; a Llama 3 has 540,000. Each costs its reader some hundred bytes."""
_MOST_TENSORS = 10_000
_MOST_AXES = 4
_VERSIONS = (2, 3)
_NUMBERS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_TEXT, _LIST = 8, 9


@dataclass(frozen=True, slots=True)
class GGUFTensor:
    """Where one lies."""

    shape: tuple[int, ...]
    """As torch has it: rows first."""
    kind: int
    """Of its numbers, as ggml counts them."""
    start: int
    """Its place in the file, in bytes."""
    row: int
    """Bytes of a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GGUFHeader:
    """What is known of a whole file without its weights."""

    settings: dict[str, Any]
    """Those that are single values, by the file's names."""
    lists: dict[str, int]
    """Of all others, how many values they have."""
    tensors: dict[str, GGUFTensor]

    @property
    def architecture(self) -> str:
        """The model's kind."""
        kind: str = self.settings["general.architecture"]
        return kind

    @property
    def weights(self) -> int:
        """Numbers in all tensors."""
        return sum(prod(tensor.shape) for tensor in self.tensors.values())


def has_gguf(folder: Path) -> bool:
    """Whether there is such a file."""
    return any(map(Path.is_file, folder.glob("*.gguf")))  # a pipe would never end


def gguf_of(folder: Path) -> Path | None:
    """The file that holds the folder's model; None: the model is in safetensors, or nowhere.

    Raises:
        ModelFolderError: there are several, or it is a part of one.
    """
    if any(folder.glob("*.safetensors")):
        return None
    files = sorted(filter(Path.is_file, folder.glob("*.gguf")))
    if len(files) > 1:
        raise ModelFolderError(f"{folder} holds {len(files)} GGUF files: keep one of them")
    return files[0] if files else None


def read_header(file: Path) -> GGUFHeader:
    """The header, once all in it is known to be there.

    Raises:
        ModelFolderError: the file is damaged, or of a kind that is not told here.
        OSError: it cannot be read.
    """
    with file.open("rb") as opened:
        size = opened.seek(0, 2)
        if not size:
            raise ModelFolderError(f"{file} is empty")
        opened.seek(0)
        cursor = _Cursor(opened, min(size, _LONGEST_HEADER))
        try:
            return _read(cursor, size)
        except ModelFolderError as error:
            raise ModelFolderError(f"{file} {error}") from error
        except struct.error as error:
            where = "has a header without end" if size > _LONGEST_HEADER else "ends too early"
            raise ModelFolderError(f"{file} {where}") from error


class _Cursor:
    """Reads on, never past the end.

    Raises:
        struct.error: something would be behind the end, as the file is now.
    """

    def __init__(self, file: BinaryIO, end: int) -> None:
        self._file, self._end = file, end
        self.at = 0

    def take(self, kinds: str) -> tuple[Any, ...]:
        """Numbers of these kinds (`struct`'s letters)."""
        size = struct.calcsize(f"<{kinds}")
        self._advance(size)
        return struct.unpack(f"<{kinds}", self._file.read(size))

    def skip(self, count: int) -> None:
        self._advance(count)
        self._file.seek(count, os.SEEK_CUR)

    def text(self) -> str:
        (length,) = self.take("Q")
        self._advance(length)
        read = self._file.read(length)
        if len(read) < length:
            raise struct.error
        try:
            return read.decode()
        except UnicodeDecodeError:
            raise ModelFolderError("is damaged: a name in it is no text") from None

    def _advance(self, count: int) -> None:
        if count > self._end - self.at:
            raise struct.error
        self.at += count


def _read(cursor: _Cursor, size: int) -> GGUFHeader:
    magic, version = cursor.take("4sI")
    if magic != b"GGUF":
        raise ModelFolderError("is no GGUF file")
    if version not in _VERSIONS:
        raise ModelFolderError(f"is GGUF of version {version}; versions 2 and 3 are read")
    tensors, pairs = cursor.take("QQ")
    if pairs > _MOST_PAIRS or tensors > _MOST_TENSORS:
        raise ModelFolderError(f"is damaged: it says {pairs} settings and {tensors} tensors")
    lists: dict[str, int] = {}
    said = dict(_settings(cursor, pairs, lists))
    _check(said)
    alignment = said.get("general.alignment", 32)
    placed = dict(_place(cursor, tensors, alignment, size))
    return GGUFHeader(settings=said, lists=lists, tensors=placed)


def _check(said: dict[str, Any]) -> None:
    """Raises what keeps the model from being told."""
    kind = said.get("general.architecture")
    if kind not in TOLD:
        raise ModelFolderError(
            f"holds a model of the kind {kind!r}; from GGUF, {', '.join(TOLD)} are told"
        )
    if said.get("split.count", 1) != 1:
        raise ModelFolderError("is one of several parts: join them with llama.cpp's gguf-split")
    scaling = said.get(f"{kind}.rope.scaling.type", "none")
    # Where a file names a factor and no type, llama.cpp stretches them evenly.
    factors = {said.get(f"{kind}.rope.{name}", 1) for name in ("scaling.factor", "scale_linear")}
    if scaling != "none" or not factors <= {0, 1}:
        raise ModelFolderError(
            f"stretches its positions ({scaling}), which is not read: take the safetensors"
        )


def _settings(cursor: _Cursor, pairs: int, lists: dict[str, int]) -> Iterator[tuple[str, Any]]:
    """Those that are single values; lists are walked through, and their lengths noted."""
    left = _MOST_VALUES
    for _ in range(pairs):
        name = cursor.text()
        (kind,) = cursor.take("I")
        if kind == _LIST:
            kind, count = cursor.take("IQ")
            left -= count
            if left < 0:
                raise ModelFolderError(
                    f"is damaged: its lists have more than {_MOST_VALUES} values"
                )
            lists[name] = count
            _walk(cursor, kind, count)
        elif kind == _TEXT:
            yield name, cursor.text()
        else:
            yield name, cursor.take(_letter(kind))[0]


def _walk(cursor: _Cursor, kind: int, count: int) -> None:
    if kind == _TEXT:
        for _ in range(count):
            (length,) = cursor.take("Q")
            cursor.skip(length)
    else:
        cursor.skip(count * struct.calcsize(f"<{_letter(kind)}"))


def _letter(kind: int) -> str:
    if kind not in _NUMBERS:
        raise ModelFolderError(f"is damaged: it has a value of the unknown kind {kind}")
    return _NUMBERS[kind]


def _place(
    cursor: _Cursor, tensors: int, alignment: int, size: int
) -> Iterator[tuple[str, GGUFTensor]]:
    """Each tensor, once all are known to lie within the file, beside each other."""
    from gguf.constants import (  # noqa: PLC0415  # most folders have no such file
        GGML_QUANT_SIZES,
        GGMLQuantizationType,
    )

    found: dict[str, GGUFTensor] = {}
    taken = end = 0
    for _ in range(tensors):
        name = cursor.text()
        if name.startswith("rope_freqs"):
            raise ModelFolderError("stretches its positions (rope_freqs): take the safetensors")
        if name in found:
            raise ModelFolderError(f"is damaged: it has {name!r} twice")
        (axes,) = cursor.take("I")
        if not 0 < axes <= _MOST_AXES:
            raise ModelFolderError(f"is damaged: {name!r} has {axes} axes")
        lengths = cursor.take(f"{axes}Q")
        kind, offset = cursor.take("IQ")
        if kind not in GGML_QUANT_SIZES:
            raise ModelFolderError(f"has weights of the unknown kind {kind}")
        block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        if lengths[0] % block:
            raise ModelFolderError(f"is damaged: {name!r} has rows of {lengths[0]} weights")
        row = lengths[0] // block * block_bytes
        found[name] = GGUFTensor(tuple(reversed(lengths)), kind, offset, row)
        here = row * prod(lengths[1:])
        taken, end = taken + here, max(end, offset + here)
    if alignment not in {1 << power for power in range(16)}:
        raise ModelFolderError(f"is damaged: its tensors are aligned to {alignment} bytes")
    start = -(-cursor.at // alignment) * alignment
    if max(end, taken) > size - start:
        raise ModelFolderError(
            f"ends too early: {size} of {start + max(end, taken)} bytes are there"
        )
    return ((name, replace(tensor, start=start + tensor.start)) for name, tensor in found.items())
