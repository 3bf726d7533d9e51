"""The model in a GGUF file: its configuration, and its weights, unpacked some rows at a time.

What ggml has otherwise than transformers is undone here. The tokenizer is built from the file by
transformers (`described`).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

import torch

from generator.models.gguf_file import read_header
from generator.models.rows import Reordered, read_part
from generator.models.shapes import GPT2_KIND, LLAMA_KINDS, GPT2Shape, LlamaShape
from generator.models.weights import weights_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor
    from transformers import PreTrainedConfig

    from generator.models.gguf_file import GGUFHeader, GGUFTensor
    from generator.models.rows import Rows
    from generator.models.shapes import Shape

_PLAIN = {0: torch.float32, 1: torch.float16, 30: torch.bfloat16}
"""Of ggml's kinds of numbers, those that need no unpacking."""
_TURNED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
"""Matrices that a GPT-2 keeps turned over."""


def config_in(header: GGUFHeader) -> PreTrainedConfig:
    """What the model's config.json would say.

    Raises:
        Exception: whatever transformers says of impossible numbers.
    """
    from transformers import AutoConfig  # noqa: PLC0415  # takes a second
    from transformers.integrations.ggml import GGUF_CONFIG_MAPPING  # noqa: PLC0415  # the same

    kind = header.architecture
    mapping = cast("dict[str, dict[str, str | None]]", GGUF_CONFIG_MAPPING)
    known = {
        f"{part}.{theirs}": name
        for part in ("tokenizer", kind)
        for theirs, name in mapping[part].items()
    }
    found = ((known.get(name), value) for name, value in header.settings.items())
    said = {name: value for name, value in found if name is not None}
    said.setdefault("vocab_size", header.lists.get("tokenizer.ggml.tokens", 0))
    said["tie_word_embeddings"] = "output.weight" not in header.tensors
    config: PreTrainedConfig = AutoConfig.for_model(kind, **said)
    if kind == GPT2_KIND:
        config.n_positions = config.n_ctx  # under which name it is read, and nothing uses it
    return config


@contextmanager
def open_gguf(path: Path, shape: Shape) -> Iterator[dict[str, Rows]]:
    """The file's tensors under transformers' names, for as long as this is open.

    Raises:
        ModelFolderError: the file is damaged, or of a kind that is not told here.
        OSError: it cannot be read.
    """
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map  # noqa: PLC0415  # few are such files

    header = read_header(path)
    arches = {name: arch for arch, name in MODEL_ARCH_NAMES.items()}
    names = get_tensor_name_map(arches[header.architecture], shape.layers)
    with path.open("rb") as file:
        found: dict[str, Rows] = {}
        for name in weights_of(shape, None).state_dict():
            theirs = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if (tensor := header.tensors.get(theirs or name)) is not None:
                found[name] = _mended(name, Unpacked(file, tensor), header.architecture, shape)
        yield found


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Implements `Rows` for a tensor of the file."""

    file: BinaryIO
    tensor: GGUFTensor

    @property
    def shape(self) -> tuple[int, ...]:
        """See `Rows`."""
        return self.tensor.shape

    @property
    def dtype(self) -> torch.dtype:
        """See `Rows`."""
        return _PLAIN.get(self.tensor.kind, torch.float32)

    def __getitem__(self, part: slice | tuple[slice, slice], /) -> Tensor:
        """See `Rows`; a new tensor each time. A part of a row begins and ends where a block does.

        Raises:
            NotImplementedError: ggml's package does not unpack such numbers.
        """
        rows, columns = part if isinstance(part, tuple) else (part, slice(None))
        lone = len(self.shape) == 1
        if lone:
            rows, columns = slice(None), rows
        first, last, _ = rows.indices(1 if lone else self.shape[0])
        begin, end, _ = columns.indices(self.shape[-1])
        read = self._read(first, max(first, last), begin, max(begin, end))
        return read[0] if lone else read

    def _read(self, first: int, last: int, begin: int, end: int) -> Tensor:
        """(last - first, end - begin)."""
        from gguf import GGMLQuantizationType  # noqa: PLC0415  # few are such files
        from gguf.quants import dequantize  # noqa: PLC0415  # the same

        row, width = self.tensor.row, self.shape[-1]
        left, right = (at * row // width for at in (begin, end))
        raw = torch.empty((last - first, right - left), dtype=torch.uint8)
        read_part(self.file, raw, self.tensor.start + first * row + left, row)
        if self.tensor.kind in _PLAIN:
            read: Tensor = raw.view(self.dtype)
            return read
        floats = dequantize(raw.numpy(), GGMLQuantizationType(self.tensor.kind))
        return torch.from_numpy(floats)


def _mended(name: str, rows: Unpacked, kind: str, shape: Shape) -> Rows:
    """As transformers has it."""
    if isinstance(shape, GPT2Shape) and name.endswith(_TURNED):
        return Reordered(rows, turned=True)
    mixing = ".q_proj." in name or ".k_proj." in name
    if isinstance(shape, LlamaShape) and kind == LLAMA_KINDS[0] and mixing:
        return Reordered(rows, order=partial(_apart, shape.head_dim))
    return rows


def _apart(size: int, rows: Tensor) -> Tensor:
    """Where the rows of heads come to be, whose two halves ggml has in pairs."""
    within = rows % size
    return rows - within + within % 2 * (size // 2) + within // 2
