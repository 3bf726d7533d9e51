"""Models with 8-bit weights on a CPU, told by the compiled step in `generator/native`.

A weight is rounded to 255 steps of its output's own scale; inputs are rounded in the step itself,
with a scale for each token and 128 inputs. So a story depends on nothing but itself, to the bit.
"""

from __future__ import annotations

import math
import mmap
import os
import time
from contextlib import suppress
from ctypes import Array, Structure, addressof, byref, c_float, c_int32, c_void_p
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from generator.models.decoder import Batch
from generator.native import Threads, library

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

    from generator.models.lstm import LSTMForCausalLM
    from generator.models.weights import GPT2, LSTM, GPT2Block

_LANES = 16  # inputs come in multiples of it, padded with zeros
_OUTPUTS = 64  # outputs of one block
_TRIALS = 5  # steps with each number of threads; the fastest counts


class _Linear(Structure):
    _fields_: ClassVar = [
        ("weights", c_void_p),
        ("scales", c_void_p),
        ("bias", c_void_p),
        ("inputs", c_int32),
        ("outputs", c_int32),
    ]


class _Norm(Structure):
    _fields_: ClassVar = [("weight", c_void_p), ("bias", c_void_p)]


class _Block(Structure):
    _fields_: ClassVar = [
        ("before_attention", _Norm),
        ("before_inner", _Norm),
        ("query_key_value", _Linear),
        ("attention_out", _Linear),
        ("inner", _Linear),
        ("inner_out", _Linear),
    ]


class _Shape(Structure):
    _fields_: ClassVar = [
        ("layers", c_int32),
        ("heads", c_int32),
        ("width", c_int32),
        ("inner", c_int32),
        ("context", c_int32),
        ("epsilon", c_float),
    ]


class _State(Structure):
    _fields_: ClassVar = [("hidden", c_void_p), ("cell", c_void_p)]


class _Layers(Structure):
    _fields_: ClassVar = [
        ("layers", c_void_p),
        ("projection", c_void_p),
        ("head", _Linear),
        ("embedding", c_void_p),
        ("count", c_int32),
        ("input", c_int32),
        ("hidden", c_int32),
    ]


class _Quantised:
    """A model in the step's own layout; implements `Decoder`."""

    kind: ClassVar[str]
    """What its functions are called after."""

    def __init__(
        self,
        model: GPT2 | LSTM | GPT2LMHeadModel | LSTMForCausalLM,
        head: Tensor,
        slots: int,
        threads: Threads,
    ) -> None:
        self.vocabulary = model.config.vocab_size
        self.threads = threads
        self._weights = {weight.data_ptr() for weight in model.parameters()}
        self._held: list[Tensor] = []
        self._packed = _memory(_packed_bytes(model), torch.uint8)
        self._taken = 0
        self._step = getattr(library(), f"{self.kind}_step")
        self._close = getattr(library(), f"{self.kind}_close")
        self._head = self._linear(head, None)
        self._logits = torch.empty(slots, self._head.outputs)
        self._model: int | None = None

    def _open(self, *parts: Structure | Array[Any] | int) -> None:
        """Makes the step's object, which copies structures and reads tensors where they are."""
        make = getattr(library(), f"{self.kind}_open")
        self._model = make(
            *(byref(part) if isinstance(part, Structure) else part for part in parts)
        )

    @property
    def memory(self) -> int:
        """See `Decoder.memory`: packed weights, state and logits.

        A GPT-2's keys and values are counted whole, which is the most that they may take: the
        system gives their pages only when stories first grow into them.
        """
        own = (held for held in self._held if held.data_ptr() not in self._weights)
        return self._taken + self._logits.nbytes + sum(tensor.nbytes for tensor in own)

    def step(self, batch: Batch) -> Tensor:
        """See `Decoder.step`."""
        self._step(
            self._model,
            self.threads.pointer,
            len(batch.slots),
            batch.slots.ctypes.data,
            batch.starts.ctypes.data,
            batch.counts.ctypes.data,
            batch.tokens.ctypes.data,
            self._logits.data_ptr(),
        )
        return self._logits[: len(batch.slots), : self.vocabulary]

    def __del__(self) -> None:
        if getattr(self, "_model", None) is not None:
            self._close(self._model)

    def _linear(self, weight: Tensor, bias: Tensor | None) -> _Linear:
        packed, scales = pack(weight)
        if bias is not None:
            bias = functional.pad(bias, (0, len(scales) - len(bias)))
        inputs = packed.shape[1] * packed.shape[3]
        place = self._packed[self._taken : self._taken + packed.numel()]
        place.copy_(packed.flatten())
        self._taken += packed.numel()
        held_bias = None if bias is None else self._hold(bias)
        return _Linear(place.data_ptr(), self._hold(scales), held_bias, inputs, len(scales))

    def _hold(self, tensor: Tensor) -> int:
        """The address of a tensor that lives as long as this."""
        tensor = tensor.detach().contiguous()
        self._held.append(tensor)
        return tensor.data_ptr()


class QuantisedGPT2(_Quantised):
    """A GPT-2 whose shape `fits`."""

    kind = "gpt2"

    def __init__(self, model: GPT2 | GPT2LMHeadModel, slots: int, threads: Threads) -> None:
        config, parts = model.config, model.transformer
        super().__init__(model, model.lm_head.weight, slots, threads)
        reach = -(-config.n_positions // _LANES) * _LANES
        keys_and_values = 2 * config.n_layer * config.n_embd * reach
        cache = _memory(slots * keys_and_values, torch.float16)
        self._open(
            _Shape(
                config.n_layer,
                config.n_head,
                config.n_embd,
                config.n_inner or 4 * config.n_embd,
                config.n_positions,
                config.layer_norm_epsilon,
            ),
            (_Block * config.n_layer)(*(self._block(cast("GPT2Block", part)) for part in parts.h)),
            self._norm(parts.ln_f),
            self._head,
            self._hold(parts.wte.weight),
            self._hold(parts.wpe.weight),
            self._hold(cache),
        )

    @staticmethod
    def fits(model: GPT2 | GPT2LMHeadModel) -> bool:
        """Whether the compiled step covers this GPT-2: the usual activation and sizes."""
        config = model.config
        return (
            config.activation_function in {"gelu_new", "gelu_pytorch_tanh"}
            and config.scale_attn_weights
            and not config.scale_attn_by_inverse_layer_idx
            and config.n_embd % (config.n_head * _LANES) == 0
            and (config.n_inner or 0) % _LANES == 0
        )

    def _block(self, block: GPT2Block) -> _Block:
        attention, inner = block.attn, block.mlp
        return _Block(
            self._norm(block.ln_1),
            self._norm(block.ln_2),
            # Conv1D keeps its weight as (inputs, outputs).
            self._linear(attention.c_attn.weight.T, attention.c_attn.bias),
            self._linear(attention.c_proj.weight.T, attention.c_proj.bias),
            self._linear(inner.c_fc.weight.T, inner.c_fc.bias),
            self._linear(inner.c_proj.weight.T, inner.c_proj.bias),
        )

    def _norm(self, norm: nn.LayerNorm) -> _Norm:
        return _Norm(self._hold(norm.weight), self._hold(norm.bias))


class QuantisedLSTM(_Quantised):
    """An LSTM of any shape."""

    kind = "lstm"

    def __init__(self, model: LSTM | LSTMForCausalLM, slots: int, threads: Threads) -> None:
        config = model.config
        super().__init__(model, model.head.weight, slots, threads)
        hidden = config.hidden_size + -config.hidden_size % _LANES
        embedding = functional.pad(model.embedding.weight, (0, -config.embedding_size % _LANES))
        layers = (_Linear * config.num_layers)(
            *(self._gates(*weights) for weights in model.lstm.all_weights)
        )
        projection = None
        if model.projection is not None:
            projection = self._linear(model.projection.weight, model.projection.bias)
        state = torch.zeros(2, slots, config.num_layers, hidden)
        self._open(
            _Layers(
                layers=addressof(layers),
                projection=addressof(projection) if projection else None,
                head=self._head,
                embedding=self._hold(embedding),
                count=config.num_layers,
                input=embedding.shape[1],
                hidden=hidden,
            ),
            _State(self._hold(state[0]), self._hold(state[1])),
        )

    def _gates(
        self, of_input: Tensor, of_hidden: Tensor, input_bias: Tensor, hidden_bias: Tensor
    ) -> _Linear:
        """One linear layer over input and hidden; outputs go by sixteen units of each gate."""
        spare = -of_hidden.shape[1] % _LANES
        both = torch.cat(
            [functional.pad(part, (0, -part.shape[1] % _LANES)) for part in (of_input, of_hidden)],
            1,
        )

        def by_units(gates: Tensor) -> Tensor:  # (4 · hidden, …), of the gates i, f, g, o
            split = gates.unflatten(0, (4, -1))
            padded = torch.cat([split, split.new_zeros(4, spare, *split.shape[2:])], 1)
            mixed: Tensor = padded.unflatten(1, (-1, _LANES)).transpose(0, 1).flatten(0, 2)
            return mixed

        return self._linear(by_units(both), by_units(input_bias + hidden_bias))


def _memory(count: int, kind: torch.dtype) -> Tensor:
    """(count,) zeros in pages as large as the system has, which it gives only when written to."""
    area = mmap.mmap(-1, count * kind.itemsize)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without transparent huge pages
            area.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(area, dtype=kind, count=count)


def fastest_threads(decoder: _Quantised, slots: int) -> Threads:
    """Gives the decoder the number of threads with which a step of all slots is fastest.

    Measured, as processors differ in what a second thread brings; few are preferred to many that
    bring less than a tenth. The decoder's state is that of no story afterwards.
    """
    rows = np.arange(slots, dtype=np.int32)
    zeros, ones = np.zeros(slots, np.int32), np.ones(slots, np.int32)
    batch = Batch(slots=rows, starts=zeros, counts=ones, tokens=zeros)
    best, count = math.inf, 1
    chosen = decoder.threads
    while count <= _most_threads():
        decoder.threads = Threads(count)
        times = []
        for _ in range(_TRIALS):
            begin = time.perf_counter()
            decoder.step(batch)
            times.append(time.perf_counter() - begin)
        if min(times) < 0.9 * best:
            best, chosen = min(times), decoder.threads
        count *= 2
    decoder.threads = chosen
    return chosen


def _packed_bytes(model: nn.Module) -> int:
    """Enough for all its matrices, padded."""
    shapes = [weight.shape for weight in model.parameters() if weight.dim() > 1]
    return sum((rows + _OUTPUTS) * (columns + _OUTPUTS) for rows, columns in shapes)


def _most_threads() -> int:
    """Cores that this process may use, or fewer where OMP_NUM_THREADS says so, as torch heeds it."""
    linux = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if linux else os.cpu_count() or 1
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(cores, int(told)) if told.isascii() and told.isdigit() and int(told) > 0 else cores


def pack(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Rounds a weight and lays it out as the step reads it.

    Args:
        weight: (outputs, inputs) float.

    Returns:
        (outputs / 64, inputs / 4, 64, 4) bytes, both sizes padded up to multiples of 64 and 16,
        and the (outputs,) scales: weight ≈ (byte - 128) · scale.
    """
    outputs, inputs = weight.shape
    weight = functional.pad(weight.detach().float(), (0, -inputs % _LANES, 0, -outputs % _OUTPUTS))
    scales = weight.abs().amax(1) / 127
    steps = (weight / scales.clamp(min=torch.finfo(torch.float32).tiny)[:, None]).round() + 128
    blocks = steps.to(torch.uint8).view(-1, _OUTPUTS, weight.shape[1] // 4, 4)
    return blocks.transpose(1, 2).contiguous(), scales
