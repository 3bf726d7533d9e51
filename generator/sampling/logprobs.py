"""How likely the model itself holds a token, before any rule of drawing has its say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Logprob:
    """A token at its place in a text."""

    token: int
    logprob: float
    """Natural logarithm of its probability."""
    likeliest: tuple[tuple[int, float], ...]
    """The likeliest tokens there, with theirs, likeliest first."""


@torch.inference_mode()
def logprobs(logits: Tensor, tokens: NDArray[np.int32], likeliest: int) -> list[Logprob]:
    """Those of one token after each row.

    Args:
        logits: (n, vocabulary) float32, as the model gave them.
        tokens: (n,)
        likeliest: how many of the likeliest to name beside each.
    """
    every = logits.log_softmax(1)
    chosen = torch.from_numpy(tokens.astype(np.int64)).to(every.device)[:, None]
    values, ids = every.topk(min(likeliest, every.shape[1]), dim=1)
    named = (
        tuple(zip(*row, strict=True)) for row in zip(ids.tolist(), values.tolist(), strict=True)
    )
    rows = zip(tokens.tolist(), every.gather(1, chosen)[:, 0].tolist(), named, strict=True)
    return [Logprob(*row) for row in rows]
