"""A folder's safetensors, one file or several, of which rows are read when they are asked for.

Read and not mapped: a mapped file that is cut short meanwhile ends the process, and its pages count
as memory of this one until all is done. The format is that of safetensors' README: the length of a
header, the header in JSON, the numbers. Each count in it is held against what the file has.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from generator.models.rows import read_part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from generator.models.rows import Rows

WHOLE = "model.safetensors"
SHARDED = "model.safetensors.index.json"
"""Where the weights lie in several files."""
_LENGTH = 8
"""Bytes before the header that say how long it is."""
_LONGEST_HEADER = 16 << 20
"""Bytes; that of a GPT-2 XL has 60,000."""
_FLOATS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
"""Others are an outcome of some quantisation."""
_SHARD = re.compile(r"\w[\w.-]*\.safetensors", re.ASCII)
"""A file of the folder itself."""
_Count = Annotated[int, Field(ge=0, lt=1 << 63)]


class _Entry(BaseModel):
    """Of a header, or the index: what is said of one tensor."""

    model_config = ConfigDict(strict=True, extra="ignore")

    dtype: str
    shape: Annotated[list[_Count], Field(max_length=8)]
    data_offsets: Annotated[list[_Count], Field(min_length=2, max_length=2)]


class _Index(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    weight_map: dict[str, str]


_ENTRIES: TypeAdapter[dict[str, _Entry]] = TypeAdapter(dict[str, _Entry])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Implements `Rows` for a tensor in its file."""

    file: BinaryIO
    name: str
    kind: str
    """Of its numbers, as the format names it."""
    shape: tuple[int, ...]
    start: int
    """Its place in the file, in bytes."""

    @property
    def dtype(self) -> torch.dtype:
        """See `Rows.dtype`.

        Raises:
            ValueError: its numbers are no floating ones.
        """
        if self.kind not in _FLOATS:
            raise ValueError(
                f"{self.name} has numbers of the kind {self.kind}; {', '.join(_FLOATS)} are read"
            )
        return _FLOATS[self.kind]

    def __getitem__(self, part: slice | tuple[slice, slice], /) -> Tensor:
        """See `Rows`; a new tensor each time."""
        rows, columns = part if isinstance(part, tuple) else (part, slice(None))
        first, last, _ = rows.indices(self.shape[0])
        count, size = max(0, last - first), self.dtype.itemsize
        row = prod(self.shape[1:]) * size
        begin, inner = 0, self.shape[1:]
        if len(inner) == 1:
            begin, end, _ = columns.indices(inner[0])
            inner = (max(0, end - begin),)
        numbers = torch.empty((count, *inner), dtype=self.dtype)
        read_part(self.file, numbers, self.start + first * row + begin * size, row)
        return numbers


@contextmanager
def open_safetensors(folder: Path) -> Iterator[dict[str, Rows]]:
    """The folder's tensors by name, for as long as this is open.

    Raises:
        ValueError: a file is damaged, or says what cannot be.
        OSError: one is missing, or cannot be read.
    """
    with ExitStack() as files:
        if (folder / WHOLE).is_file():
            yield {**_tensors(files.enter_context((folder / WHOLE).open("rb")))}
        else:
            yield _shards(folder, files)


def _shards(folder: Path, files: ExitStack) -> dict[str, Rows]:
    try:
        where = _Index.model_validate_json((folder / SHARDED).read_bytes()).weight_map
    except ValidationError as error:
        raise ValueError(f"{SHARDED} is damaged: {_reason(error)}") from error
    found: dict[str, Rows] = {}
    of: dict[str, str] = {}
    for shard in sorted(set(where.values())):
        if not _SHARD.fullmatch(shard):
            raise ValueError(f"{SHARDED} names {shard!r}, which is no safetensors of the folder")
        if not (folder / shard).is_file():
            raise ValueError(f"{SHARDED} names {shard}, and there is none")
        for name, tensor in _tensors(files.enter_context((folder / shard).open("rb"))).items():
            if name in found:
                raise ValueError(f"{name} is in {of[name]} and in {shard} too")
            found[name], of[name] = tensor, shard
    for name, shard in where.items():
        if of.get(name) != shard:
            raise ValueError(f"{SHARDED} says that {name} is in {shard}, and it is not")
    return found


def _tensors(file: BinaryIO) -> dict[str, Stored]:
    """By name, once each is known to lie in the file, one after the other."""
    at = os.path.basename(file.name)  # noqa: PTH119  # a name
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(_LENGTH), "little")
    begin = _LENGTH + length
    if size < _LENGTH or begin > size:
        raise ValueError(f"{at} ends too early: {size} bytes are there")
    if length > _LONGEST_HEADER:
        raise ValueError(f"{at} has a header of {length >> 20} MiB; at most 16 are read")
    try:
        said: Any = json.loads(file.read(length), object_pairs_hook=_once)
        if isinstance(said, dict):
            said.pop("__metadata__", None)
        entries = _ENTRIES.validate_python(said)
    except ValidationError as error:
        raise ValueError(f"{at} is damaged: {_reason(error)}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{at} is damaged: its header is no JSON ({error})") from error
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        first, last = entry.data_offsets
        kind = _FLOATS.get(entry.dtype)
        taken = last - first if kind is None else prod(entry.shape) * kind.itemsize
        if first != end or last - first != taken or taken < 0:
            raise ValueError(f"{at} is damaged: {name!r} does not lie where it says")
        end = last
    if begin + end > size:
        raise ValueError(f"{at} ends too early: {size} of {begin + end} bytes are there")
    return {
        name: Stored(
            file=file,
            name=name,
            kind=entry.dtype,
            shape=tuple(entry.shape),
            start=begin + entry.data_offsets[0],
        )
        for name, entry in entries.items()
    }


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of which no name comes twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name in it comes twice")
    return found


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]
