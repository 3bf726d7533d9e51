"""Our rules that transformers' `generate` lacks, as it takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    NoBadWordsLogitsProcessor,
    SuppressTokensAtBeginLogitsProcessor,
)

if TYPE_CHECKING:
    from generator.sampling.memfree import MemFree
    from generator.sampling.requests import Request
    from generator.sampling.settings import Sampling
    from generator.sampling.vocabulary import Vocabulary


OURS = {"memfree", "frequency_penalty", "presence_penalty"}
"""The rules that are processors here; all others transformers knows by the same names."""


def processors(vocabulary: Vocabulary, request: Request) -> LogitsProcessorList:
    """Those that a request's settings ask for.

    Args:
        vocabulary: of the model.
        request: with its prompt, to which the penalties do not apply.
    """
    sampling, asked = request.sampling, LogitsProcessorList()
    if request.begin_word:
        growing = vocabulary.growing.tolist()
        asked.append(SuppressTokensAtBeginLogitsProcessor(growing, len(request.prompt)))
    if sampling.frequency_penalty or sampling.presence_penalty:
        asked.append(PenaltyProcessor(sampling, len(request.prompt)))
    if len(vocabulary.bad_words):
        runs = [[token for token in run if token >= 0] for run in vocabulary.bad_words.tolist()]
        asked.append(NoBadWordsLogitsProcessor(runs))
    if sampling.memfree and vocabulary.memfree is not None:
        asked.append(MemFreeProcessor(vocabulary.memfree, vocabulary))
    return asked


class PenaltyProcessor(LogitsProcessor):
    """OpenAI's penalties for frequency and presence."""

    def __init__(self, sampling: Sampling, prompt_length: int) -> None:
        self._frequency, self._presence = sampling.frequency_penalty, sampling.presence_penalty
        self._prompt_length = prompt_length

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """The (rows, vocabulary) scores without what the tokens of each row's story cost."""
        story = input_ids[:, self._prompt_length :]
        counts: Any = torch.zeros_like(scores)
        counts.scatter_add_(1, story, torch.ones_like(story, dtype=scores.dtype))
        taken = counts * self._frequency + (counts > 0) * self._presence
        return scores - taken  # type: ignore[no-any-return]


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
