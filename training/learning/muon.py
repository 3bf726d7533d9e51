"""Muon on a CPU, where torch's own orthogonalises in bfloat16, which few processors multiply.

Of an update X torch makes X p(X'X) by fifteen products, with a polynomial that draws singular
values towards one. Here it is X (X'X)^-½ in float32, the root being a sum of two inverses: two
products with X, and no sum of a small matrix that waits for another thread. On a processor without
bfloat16 it is a hundred times as fast, and singular values come closer to one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import torch
from torch.optim import Muon

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_LEVEL = 0.966
_TERMS = ((0.01035, 2.39e-5), (0.1903, 0.00973))
"""Level + the sum of weight / (s + shift) is near s^-½: within 16 % for s from 1.6e-5 to 1."""
_BLOCK = 256
"""Rows of a small matrix that are made at once: products of fewer are too small to be fast."""


def inverse_root(update: Tensor, eps: float) -> Tensor:
    """(X'X)^-½ of an update X that is tall, (XX')^-½ of another, nearly.

    Their product has X's singular vectors, and singular values near one.

    Args:
        update: (rows, columns) float32.
        eps: the Frobenius norm of an update that is taken as zero.
    """
    tall = update.shape[0] > update.shape[1]
    gram = _gram(update if tall else update.T)
    norm = gram.trace().sqrt().clamp(min=eps)
    if not norm.isfinite():
        return torch.full_like(gram, torch.nan)  # the next loss says so
    gram /= norm * norm
    root, reached = torch.zeros_like(gram), 0.0
    root.diagonal().fill_(_LEVEL)
    for weight, shift in _TERMS:
        gram.diagonal().add_(shift - reached)
        reached = shift
        root.add_(_inverse(gram), alpha=weight)
    return root.div_(norm)


def _inverse(definite: Tensor) -> Tensor:
    """The inverse of a positive definite matrix, of which what is above its diagonal is read.

    A block at a time (https://en.wikipedia.org/wiki/Schur_complement) nearly all is products,
    which two threads share. LAPACK's own way through a large matrix takes longer: its threads wait
    for each other too often. What is left is made from the block's factor, not from its inverse:
    rounded, that stays positive definite.
    """
    side, lower = definite[:_BLOCK, _BLOCK:], definite[_BLOCK:, _BLOCK:]
    factor = torch.linalg.cholesky(definite[:_BLOCK, :_BLOCK], upper=True)
    first = torch.cholesky_inverse(factor, upper=True)
    if not lower.numel():
        return first
    solved = torch.linalg.solve_triangular(factor.T, side, upper=False)
    last = _inverse(torch.addmm(lower, solved.T, solved, alpha=-1))
    across = torch.linalg.solve_triangular(factor, solved, upper=True)
    corner = across @ last
    inverse = torch.empty_like(definite)
    torch.addmm(first, corner, across.T, out=inverse[:_BLOCK, :_BLOCK])
    torch.neg(corner, out=inverse[:_BLOCK, _BLOCK:])
    inverse[_BLOCK:, :_BLOCK] = inverse[:_BLOCK, _BLOCK:].T
    inverse[_BLOCK:, _BLOCK:] = last
    return inverse


def _gram(tall: Tensor) -> Tensor:
    """X'X of (rows, columns), without most of what is below its diagonal: nobody reads that."""
    columns = tall.shape[1]
    gram = tall.new_zeros(columns, columns)
    for begin in range(0, columns, _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        torch.mm(tall[:, rows].T, tall[:, begin:], out=gram[rows, begin:])
    return gram


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
        update = gradient.lerp_(momentum, group["momentum"]) if group["nesterov"] else momentum
        root = inverse_root(update, group["eps"])
        rows, columns = matrix.shape
        matrix.addmm_(
            *((update, root) if rows > columns else (root, update)),
            beta=1 - group["lr"] * group["weight_decay"],
            alpha=-group["lr"] * max(1, rows / columns) ** 0.5,
        )
