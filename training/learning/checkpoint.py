"""How far a training has come, and the files that bring it back."""

from __future__ import annotations

import csv
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from training.corpus.batches import Position

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, nn
    from torch.optim import Optimizer

    from training.learning.team import Team


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line of the log."""

    step: int
    progress: float
    seconds: float
    tokens: int
    train_loss: float
    """Nats per token, over the steps since the last line."""
    bits_per_byte: float
    """On validation."""


@dataclass(slots=True)
class Course:
    """How far a training has come; part of its checkpoint."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    measuring: float = 0.0
    """Of these, so many for measuring on validation."""
    position: Position = field(default_factory=Position)
    annealing: bool = False
    """Only the target's texts are read."""
    best: float = math.inf
    """Lowest bits per byte on validation, or training loss where that is what chooses."""
    since_best: int = 0
    measurements: list[Measurement] = field(default_factory=list)
    loss_sum: float = 0.0
    loss_tokens: int = 0


class Checkpoint:
    """The files of one run: `checkpoint.pt`, `best.pt` and `log.csv`. Only the leader writes."""

    def __init__(self, folder: Path, team: Team) -> None:
        self._folder = folder
        self._team = team

    def save(
        self,
        model: nn.Module,
        optimizers: Sequence[Optimizer],
        course: Course,
        state: tuple[Tensor, ...] | None,
        *,
        alone: bool = False,
    ) -> None:
        """All that the next step depends on, each process's dice among it.

        `alone`: nobody else of the team can be asked any more.
        """
        mine = (torch.get_rng_state(), torch.cuda.get_rng_state_all())
        dice = [mine] if alone else self._team.of_all(mine)
        if not self._team.leads:
            return
        _replace(
            {
                "model": model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                "course": asdict(course),
                "dice": [torch_dice for torch_dice, _ in dice],
                "cuda_dice": [cuda_dice for _, cuda_dice in dice],
                **({} if state is None else {"state": state}),
            },
            self._folder / "checkpoint.pt",
        )

    def load(
        self, model: nn.Module, optimizers: Sequence[Optimizer], device: torch.device
    ) -> tuple[Course, tuple[Tensor, ...] | None]:
        """The course and an LSTM's state; model, optimizers and dice are set. New where none is."""
        path = self._folder / "checkpoint.pt"
        if not path.is_file():
            return Course(), None
        saved = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(saved["model"])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        values: dict[str, Any] = saved["course"]
        values["position"] = Position(**values["position"])
        values["measurements"] = [Measurement(**line) for line in values["measurements"]]
        rank = self._team.rank
        if rank < len(saved["dice"]):  # a larger team than before throws its own
            torch.set_rng_state(saved["dice"][rank])
            torch.cuda.set_rng_state_all(saved["cuda_dice"][rank])
        state = saved.get("state")
        return Course(**values), state and tuple(part.to(device) for part in state)

    def keep_best(self, model: nn.Module) -> None:
        """These weights are the best so far."""
        if self._team.leads:
            _replace(model.state_dict(), self._folder / "best.pt")

    def load_best(self, model: nn.Module) -> None:
        """The model has the weights that were kept last."""
        self._team.of_leader(None)  # it has written them
        weights = torch.load(self._folder / "best.pt", map_location="cpu", weights_only=True)
        model.load_state_dict(weights)

    def write_log(self, measurements: Sequence[Measurement]) -> None:
        """One line for each measurement, anew."""
        if not self._team.leads:
            return
        lines = [asdict(line) for line in measurements]
        with (self._folder / "log.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(lines[0]))
            writer.writeheader()
            writer.writerows(lines)


def _replace(content: object, path: Path) -> None:
    """Writes beside, then renames: a file is whole or as it was, whenever the process dies."""
    beside = path.with_suffix(".new")
    torch.save(content, beside)
    beside.replace(path)
