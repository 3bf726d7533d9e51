"""Muon on a CPU, where torch's own orthogonalises in bfloat16, which few processors multiply.

The polynomial that torch's Newton-Schulz iterations evaluate is an odd one, so it changes a
matrix's singular values and leaves its singular vectors: X p(X'X). Here p is evaluated on the
eigenvalues of X'X, in float32: two products with X instead of fifteen. It is the same update, less
the rounding, and on a processor without bfloat16 a hundred times as fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import torch
from torch.optim import Muon

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def orthogonalised(
    update: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """What torch's Muon makes of an update: singular values drawn towards one.

    Args:
        update: (rows, columns) float32; its Frobenius norm is brought to at most one first.
        coefficients: a, b and c of a step's polynomial ax + bx³ + cx⁵ (Jordan 2024).
        steps: how often it is applied.
        eps: the norm of an update that is taken as zero.
    """
    norm = update.norm()
    if not norm.isfinite():
        return torch.full_like(update, torch.nan)  # the next loss says so
    wide = update / norm.clamp(min=eps)
    tall = wide.shape[0] > wide.shape[1]
    squares, vectors = torch.linalg.eigh(wide.T @ wide if tall else wide @ wide.T)
    a, b, c = coefficients
    square, factor = squares.clamp(min=0), torch.ones_like(squares)
    for _ in range(steps):
        step = a + b * square + c * square * square
        square, factor = square * step * step, factor * step
    scaling: Tensor = (vectors * factor) @ vectors.T
    made: Tensor = wide @ scaling if tall else scaling @ wide
    return made


class CPUMuon(Muon):
    """Torch's Muon, orthogonalising in float32; their checkpoints are each other's."""

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every matrix that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._update(matrix, group)
        return loss

    def _update(self, matrix: Tensor, group: dict[str, Any]) -> None:
        gradient, state = matrix.grad, self.state[matrix]
        if gradient is None:
            return
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        momentum: Tensor = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        update = gradient.lerp(momentum, group["momentum"]) if group["nesterov"] else momentum
        update = orthogonalised(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = matrix.shape
        matrix.mul_(1 - group["lr"] * group["weight_decay"])
        matrix.add_(update, alpha=-group["lr"] * max(1, rows / columns) ** 0.5)
