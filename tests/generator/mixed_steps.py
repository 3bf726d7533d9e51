"""Steps as an engine makes them, over several slots at once, and what must come of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from generator.models.decoder import Batch

if TYPE_CHECKING:
    from generator.models.decoder import Decoder


def ints(*numbers: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.array(numbers, np.int32)


def check_mixed_steps(
    decoder: Decoder, stories: torch.Tensor, expected: torch.Tensor, *, atol: float = 2e-4
) -> None:
    """Prompts in pieces, single tokens, and slots that lie idle in between, in mixed steps.

    Args:
        decoder: with six slots.
        stories: (6, 48) tokens.
        expected: (6, 48, vocabulary) logits after each.
        atol: how far they may be apart.
    """
    read = [0] * 6
    for step in (
        {0: 5, 2: 1, 5: 30},
        {0: 1, 2: 4},
        {5: 1},
        {1: 7, 2: 1, 5: 17},
        {0: 1, 1: 1, 2: 1},
    ):
        slots = list(step)
        logits = decoder.step(
            Batch(
                slots=ints(*slots),
                starts=ints(*(read[slot] for slot in slots)),
                counts=ints(*step.values()),
                tokens=np.concatenate(
                    [stories[slot, read[slot] : read[slot] + step[slot]].numpy() for slot in slots]
                ).astype(np.int32),
            )
        )
        for row, slot in enumerate(slots):
            read[slot] += step[slot]
            torch.testing.assert_close(
                logits[row], expected[slot, read[slot] - 1], atol=atol, rtol=1e-4
            )
