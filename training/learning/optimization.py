"""The optimizers of a recipe, and how their rates rise and fall."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.optim import AdamW, Muon, Optimizer

from training.learning.muon import CPUMuon

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from training.recipe import Training


def optimizers(model: nn.Module, training: Training) -> list[Optimizer]:
    """AdamW for all weights, or Muon for matrices inside the model and AdamW for the rest.

    Muon (Jordan 2024, https://kellerjordan.github.io/posts/muon/) orthogonalises each update of a
    matrix; embeddings, the head and vectors are no such maps and stay with AdamW. Weight decay
    holds matrices only: pulling gains and biases to zero makes no model simpler.
    """
    embeddings = {
        id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)
    }
    learning = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in learning if p.ndim >= 2 and id(p) not in embeddings]  # noqa: PLR2004  # a matrix
    tables = [p for p in learning if id(p) in embeddings]
    vectors = [p for p in learning if p.ndim < 2]  # noqa: PLR2004
    decay = training.weight_decay if training.decay_vectors else 0.0
    groups: list[dict[str, object]] = [{"params": vectors, "weight_decay": decay}]
    found: list[Optimizer] = []
    if training.optimizer == "muon":
        groups.append({"params": tables, "weight_decay": 0.0})
        hidden = [p for p in matrices if not _is_head(model, p)]
        groups.append({"params": [p for p in matrices if _is_head(model, p)]})
        on_cpu = all(p.device.type == "cpu" for p in hidden)
        found.append(
            (CPUMuon if on_cpu else Muon)(
                hidden,
                lr=training.muon_learning_rate,
                weight_decay=training.muon_weight_decay,
                momentum=training.muon_momentum,
            )
        )
    else:
        groups.append({"params": [*matrices, *tables]})
    groups = [group for group in groups if group["params"]]
    if groups:  # of LoRA, Muon may have all
        found.append(
            AdamW(
                groups,
                lr=training.learning_rate,
                betas=training.betas,
                weight_decay=training.weight_decay,
                fused=True,
            )
        )
    for optimizer in found:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return found


def _is_head(model: nn.Module, parameter: torch.Tensor) -> bool:
    head = model.get_output_embeddings()  # type: ignore[operator]  # every PreTrainedModel has it
    return head is not None and head.weight is parameter


def rate(progress: float, training: Training) -> float:
    """Share of the peak learning rate: rises in a line, stands, and falls to zero.

    Args:
        progress: share of the schedule done, 0 to 1.
        training: the recipe's section.
    """
    if progress < training.warmup:
        return max(progress / training.warmup, 0.01)
    remaining = (1 - progress) / training.decay if training.decay else 1.0
    remaining = max(0.0, min(1.0, remaining))
    if training.decay_shape == "cosine":
        return 0.5 - 0.5 * math.cos(math.pi * remaining)
    return remaining


def halvings(losses: Sequence[float], patience: int) -> int:
    """How often `ReduceLROnPlateau` would have halved the rate after these losses.

    Torch's rule: whenever more than `patience` losses in a row were not lower than the lowest
    before them by a ten-thousandth of it. Told from the log, it needs no state of its own.
    """
    lowest, bad, halved = math.inf, 0, 0
    for loss in losses:
        if loss < lowest * (1 - 1e-4):
            lowest, bad = loss, 0
        else:
            bad += 1
        if bad > patience:
            bad, halved = 0, halved + 1
    return halved
