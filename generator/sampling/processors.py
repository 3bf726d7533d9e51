"""Our rules that transformers' `generate` lacks, as it takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import LogitsProcessor, LogitsProcessorList

if TYPE_CHECKING:
    from generator.sampling.memfree import MemFree
    from generator.sampling.settings import Sampling
    from generator.sampling.vocabulary import Vocabulary


OURS = {"memfree"}
"""The rules that are processors here; all others transformers knows by the same names."""


def processors(vocabulary: Vocabulary, sampling: Sampling) -> LogitsProcessorList:
    """Those that the settings ask for.

    Args:
        vocabulary: of the model.
        sampling: the request's.
    """
    if not sampling.memfree or vocabulary.memfree is None:
        return LogitsProcessorList()
    return LogitsProcessorList([MemFreeProcessor(vocabulary.memfree, vocabulary)])


class MemFreeProcessor(LogitsProcessor):
    """MemFree for `generate`, which is told what it may draw before it draws."""

    def __init__(self, memfree: MemFree, vocabulary: Vocabulary) -> None:
        self._memfree, self._vocabulary = memfree, vocabulary

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """The (rows, vocabulary) scores with -inf for what would complete an n-gram."""
        before = self._memfree.ngram_size - 1
        if input_ids.shape[1] < before:
            return scores
        looked_at = np.setdiff1d(np.arange(scores.shape[1]), self._vocabulary.memfree_exempt)
        grams = np.empty((len(looked_at), before + 1), np.int64)
        grams[:, -1] = looked_at
        left: Any = scores.clone()
        for row, context in zip(left, input_ids[:, -before:].cpu().numpy(), strict=True):
            grams[:, :-1] = context
            row[looked_at[self._memfree.holds(grams)]] = -torch.inf
        return left  # type: ignore[no-any-return]
