"""One step of all slots as one CUDA graph, with what it draws read some steps late.

Row i is slot i, and every step has all rows, whether they tell a story or not: at 32 rows a small
model takes as long as at one, and as shapes never change, a story is the same in any company. All
state is on the device, so the host launches step n + 2 before it knows what step n drew: a host
that is late for once does not leave the GPU idle. On a processor the same functions run without a
graph, which is how they are tested.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from generator.models.decoder import Batch, Ints
    from generator.models.stepper import Searcher
    from generator.sampling.device_sampler import DeviceSampler

log = logging.getLogger(__name__)

_WARM_UP = 2  # runs before a capture, in which libraries make their plans


class Rows(Protocol):
    """A model over rows of single tokens; every call does the same work, whatever it is told."""

    vocabulary: int
    chunk: int
    """Tokens of prompts that are read together."""

    @property
    def memory(self) -> int:
        """Bytes beside the model's own weights."""
        ...

    def copy(self, source: int, target: int, begin: int, end: int) -> None:
        """See `Decoder.copy`."""
        ...

    def chunks(
        self, slots: NDArray[np.int32], positions: NDArray[np.int32]
    ) -> Iterator[slice | NDArray[np.intp]]:
        """Cuts tokens of prompts into chunks."""
        ...

    def read(self, tokens: Tensor, slots: Tensor, positions: Tensor) -> Tensor:
        """Reads one token a row into its slot; (rows, width) before the head."""
        ...

    def logits(self, last: Tensor) -> Tensor:
        """(rows, width) to (rows, vocabulary)."""
        ...


class Flight:
    """Implements `Launched` for tokens that are on their way to the host."""

    def __init__(
        self,
        tokens: Tensor,
        slots: Ints,
        arrived: torch.cuda.Event | None,
        logprobs: Tensor | None,
    ) -> None:
        self._tokens, self._slots, self._arrived = tokens, slots, arrived
        self.logprobs = logprobs

    def collect(self) -> Ints:
        """See `Launched.collect`."""
        if self._arrived is not None:
            self._arrived.synchronize()
        drawn: Ints = self._tokens.numpy()[self._slots]
        return drawn


class DeviceStepper:
    """Implements `Stepper` for a model and a sampler whose state is on one device."""

    def __init__(
        self, rows: Rows, sampler: DeviceSampler, searcher: Searcher, *, ahead: int = 2
    ) -> None:
        """Prepares the graphs.

        Args:
            rows: the model.
            sampler: what draws, where the model is.
            searcher: what searches, on the host.
            ahead: steps that may be launched before the first of them is collected.
        """
        self.ahead, self.searcher = ahead, searcher
        self._rows, self._sampler = rows, sampler
        self._device = sampler.drawn.device
        self._on_gpu = self._device.type == "cuda"
        slots = sampler.slots
        self._places = np.full((2, slots), -1, np.int32)  # as the device has them
        self._prompt = torch.zeros(3, rows.chunk, dtype=torch.int32, device=self._device)
        self._prompt[1] = slots
        pinned = self._on_gpu
        self._landings = [
            torch.zeros(slots, dtype=torch.int32, pin_memory=pinned) for _ in range(ahead + 1)
        ]
        self._arrivals = [
            torch.cuda.Event(blocking=True) if pinned else None for _ in range(ahead + 1)
        ]
        self._turn = 0
        self._run_prompt: Callable[[], object] = self._read_prompt
        self._run_step: Callable[[], object] = self._step
        sampler.places.fill_(-1)
        if self._on_gpu:
            self._stream = torch.cuda.Stream()
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                self._run_prompt = self._captured(self._read_prompt)
                self._run_step = self._captured(self._step)
                sampler.places.fill_(-1)
            self._stream.synchronize()

    @property
    def memory(self) -> int:
        """See `Stepper.memory`."""
        return self._rows.memory + self._sampler.memory

    def launch(self, batch: Batch, ready: Ints, lengths: Ints, scored: Ints) -> Flight:
        """See `Stepper.launch`."""
        del lengths  # which the device counts itself
        if not self._on_gpu:
            return self._launch(batch, ready, scored)
        with torch.cuda.stream(self._stream):
            return self._launch(batch, ready, scored)

    def copy(self, source: int, target: int, begin: int, end: int) -> None:
        """See `Stepper.copy`; after the steps that were launched, and before the next."""
        with torch.cuda.stream(self._stream) if self._on_gpu else nullcontext():
            self._rows.copy(source, target, begin, end)

    @torch.inference_mode()
    def _launch(self, batch: Batch, ready: Ints, scored: Ints) -> Flight:
        new = batch.slots[batch.starts == 0]
        if len(new):
            self._sampler.begin(new.tolist())
        # A prompt's last token is read by the step itself, which draws what follows it; and so is
        # every token of one that is scored, though nobody looks at what is drawn there.
        stepping = np.union1d(ready, scored) if len(scored) else ready
        earlier = np.ones(len(batch.tokens), np.bool_)
        earlier[batch.ends[stepping] - 1] = False
        if earlier.any():
            self._prefill(batch, earlier)
        if len(stepping):
            self._place(batch.slots[stepping], batch, stepping)
            self._run_step()
        logprobs = None
        if len(scored):
            logits = self._rows.logits(self._last[batch.slots[scored]])
            logprobs = logits.float().log_softmax(1)
        return self._fly(batch.slots[ready], logprobs)

    def _prefill(self, batch: Batch, earlier: NDArray[np.bool_]) -> None:
        slots = batch.slots.repeat(batch.counts)[earlier]
        positions = batch.positions[earlier]
        told = np.stack([batch.tokens[earlier], slots, positions]).astype(np.int32)
        for part in self._rows.chunks(slots, positions):
            chunk = told[:, part]
            filled = np.zeros((3, self._rows.chunk), np.int32)
            filled[1] = self._sampler.slots  # which nobody reads
            filled[:, : chunk.shape[1]] = chunk
            self._prompt.copy_(torch.from_numpy(filled), non_blocking=True)
            self._run_prompt()

    def _place(self, slots: Ints, batch: Batch, stepping: Ints) -> None:
        """Says what each row reads; nothing where the device knows, as between two events."""
        places = np.full_like(self._places, -1)
        last = batch.ends[stepping] - 1
        places[0, slots] = batch.positions[last]
        places[1, slots] = batch.tokens[last]
        if not np.array_equal(places, self._places):
            self._sampler.places.copy_(torch.from_numpy(places), non_blocking=True)
        places[0, slots] += 1
        places[1] = -1
        self._places = places

    def _fly(self, slots: Ints, logprobs: Tensor | None) -> Flight:
        """What the step drew, on its way to the host."""
        self._turn = (self._turn + 1) % len(self._landings)
        landing, arrived = self._landings[self._turn], self._arrivals[self._turn]
        landing.copy_(self._sampler.drawn, non_blocking=True)
        if arrived is not None:
            arrived.record()
        return Flight(landing, slots, arrived, logprobs)

    @torch.inference_mode()
    def _read_prompt(self) -> None:
        tokens, slots, positions = self._prompt
        self._sampler.read_prompt(tokens, slots, positions)
        self._rows.read(tokens, slots, positions)

    @torch.inference_mode()
    def _step(self) -> None:
        # Held, so that a graph's memory for it is used for nothing else.
        self._last = self._rows.read(*self._sampler.read())
        self._sampler.draw(self._rows.logits(self._last))

    def _captured(self, work: Callable[[], None]) -> Callable[[], None]:
        for _ in range(_WARM_UP):
            work()
        torch.cuda.current_stream().synchronize()
        graph = torch.cuda.CUDAGraph()
        # Other models may be telling in threads of their own meanwhile.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            work()
        return graph.replay
