"""Dropout whose dice cost a CPU little.

Torch throws a die of 32 bits for each number, one after another; that is an eighth of the time of
a step of a small GPT-2. Here each byte of a long throw is a die of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

_FACES = 256
_LOWEST = -(2**63)


class ByteDropout(nn.Dropout):
    """Dropout at the rate's nearest 256th: 0.1 becomes 26/256. What is kept is scaled by that."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's name for it
        """Drops in training only; any shape, a floating type."""
        dropped = round(self.p * _FACES)
        if not self.training or not dropped:
            return input
        if dropped == _FACES:
            return input * 0.0
        count = input.numel()
        throws = torch.empty((count + 7) // 8, dtype=torch.int64).random_(_LOWEST, None)
        kept = throws.view(torch.uint8)[:count].view(input.shape) >= dropped
        return input * kept.to(input.dtype).mul_(_FACES / (_FACES - dropped))


def quicken_dropout(model: nn.Module) -> None:
    """Replaces every plain dropout in `model`, which lies on a CPU, by one of bytes."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Dropout:
                setattr(module, name, ByteDropout(child.p))
