"""Models with 8-bit weights on a CPU, told by the compiled step in `generator/native`."""

from __future__ import annotations

import math
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from generator.models.decoder import Batch
from generator.models.packed_lstm import PackedLSTM
from generator.models.packed_transformer import PackedGPT2, PackedLlama
from generator.models.shapes import GPT2Shape, LlamaShape, LSTMShape
from generator.native import Threads, library

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from generator.models.packed import Packed
    from generator.models.rows import Rows
    from generator.models.shapes import Shape

_TRIALS = 5  # steps with each number of threads; the fastest counts


def packed(
    shape: Shape, tensors: Mapping[str, Rows], context: int, *, only_weighed: bool = False
) -> Packed:
    """The model in 8 bits.

    Args:
        shape: of the model; one without a `choosing.misfit`.
        tensors: its weights, in any floating type, as `weights.fitting` gives them.
        context: tokens that a slot has room for.
        only_weighed: see `Packed`.
    """
    with _one_thread():
        match shape:
            case GPT2Shape():
                return PackedGPT2(shape, tensors, context, only_weighed=only_weighed)
            case LSTMShape():
                return PackedLSTM(shape, tensors, context, only_weighed=only_weighed)
            case LlamaShape():
                return PackedLlama(shape, tensors, context, only_weighed=only_weighed)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Where others compute too, torch's threads spin while they wait for each other's end.

    A GPT-2 of 124M weights was packed in 10 s by two threads then, and in 3 to 5 s by one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class QuantisedDecoder:
    """Implements `Decoder` for a packed model."""

    def __init__(self, model: Packed, slots: int, threads: Threads) -> None:
        self.vocabulary = model.config.vocab_size
        self.threads = threads
        self._weights = model  # which the step's object reads
        self._state = model.state(slots)
        self._logits = torch.empty(slots, model.head.outputs)
        self._step = getattr(library(), f"{model.kind}_step")
        self._close = getattr(library(), f"{model.kind}_close")
        self._model = model.open(self._state)

    @property
    def memory(self) -> int:
        """See `Decoder.memory`: state and logits."""
        return self._logits.nbytes + sum(tensor.nbytes for tensor in self._state)

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

    def copy(self, source: int, target: int, begin: int, end: int) -> None:
        """See `Decoder.copy`."""
        self._weights.copy(self._state, source, target, begin, end)

    def __del__(self) -> None:
        if hasattr(self, "_model"):
            self._close(self._model)


def fastest_threads(decoder: QuantisedDecoder, slots: int) -> Threads:
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


def _most_threads() -> int:
    """Cores that this process may use, or fewer where OMP_NUM_THREADS says so: torch heeds it."""
    linux = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if linux else os.cpu_count() or 1
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(cores, int(told)) if told.isascii() and told.isdigit() and int(told) > 0 else cores
