"""Several processes that train one model: `torchrun --nproc-per-node N -m training train …`.

Each process reads its share of a step's batches; gradients are summed before the update, so all
keep the same weights. One process is a team of one, in which nothing is sent.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import distributed

from training.errors import TeamLostError
from training.hardware import best_device

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor, nn

T = TypeVar("T")


class Team:
    """The processes of one training; every method is called by all of them at the same point.

    Each raises TeamLostError where another process is no more.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: torch.device | None = None) -> None:
        self.rank = rank
        """Of this process; 0 leads: it measures, saves, publishes and speaks."""
        self.size = size
        self.device = device or best_device()

    @property
    def leads(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0

    def share(self, batches: Sequence[T]) -> Sequence[T]:
        """This process's part of a step's batches."""
        return batches[self.rank :: self.size]

    def table(self, numbers: Sequence[float]) -> Tensor:
        """(size, len(numbers)) float64: the numbers of every process, by rank."""
        mine = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        if self.size == 1:
            return mine[None]
        rows = [torch.empty_like(mine) for _ in range(self.size)]
        with _all_there():
            distributed.all_gather(rows, mine)
        return torch.stack(rows).cpu()

    def sum_gradients(self, weights: Iterable[nn.Parameter]) -> None:
        """Each gradient becomes the sum over all processes, sent as one piece of memory."""
        if self.size == 1:
            return
        gradients = []
        for weight in weights:
            if weight.requires_grad:
                if weight.grad is None:  # this process had no batch in this step
                    weight.grad = torch.zeros_like(weight)
                gradients.append(weight.grad)
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        with _all_there():
            distributed.all_reduce(flat)
        for gradient, part in zip(
            gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))

    def of_leader(self, value: T) -> T:
        """What the leader gives here; the others' value is ignored."""
        if self.size == 1:
            return value
        given = [value]
        with _all_there():
            distributed.broadcast_object_list(given, device=self.device)
        return given[0]

    def of_all(self, value: T) -> list[T]:
        """What each process gives here, by rank."""
        if self.size == 1:
            return [value]
        given: list[Any] = [None] * self.size
        with _all_there():
            distributed.all_gather_object(given, value)
        return given


@contextmanager
def _all_there() -> Iterator[None]:
    """Nothing else fails in what is sent here: everybody sends the same at the same point."""
    try:
        yield
    except RuntimeError as error:
        raise TeamLostError from error


@contextmanager
def team() -> Iterator[Team]:
    """The team that torchrun has started this process into, or a team of one.

    Processes meet over NCCL where each has an NVIDIA GPU, over gloo on CPUs.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield Team()
        return
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Team(distributed.get_rank(), distributed.get_world_size(), device)
    finally:
        distributed.destroy_process_group()
