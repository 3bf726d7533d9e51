"""Texts as batches of about equally long rows, in an order that a checkpoint can come back to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from training.corpus.tokenizers import beginning, begins_texts, check_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

IGNORED = -100
"""A target that is padding: left out of every loss."""

_STEP = 8
"""Batches are as wide as a multiple of it: a few dozen shapes in all, for which a library compiles
its kernels once, instead of hundreds, for which it does so again and again."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of whole texts, each beginning with the begin-of-text token."""

    inputs: Tensor
    """(rows, length) int64; padding stands behind a text, where causal models do not see it."""
    targets: Tensor
    """(rows, length) int64: the token after each input, `IGNORED` behind the end of a text."""
    tokens: int
    """Targets that are not `IGNORED`."""
    last: bool = False
    """Of its epoch."""


def encode(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, context: int
) -> list[np.ndarray]:
    """Token ids of each text, begun and ended, at most `context` targets long.

    A tokenizer with no token for the beginning or the end gives a text without.

    Raises:
        UnknownWordError: of a tokenizer without an unknown word.
    """
    begin = None if begins_texts(tokenizer) else beginning(tokenizer)
    before = [] if begin is None else [begin]
    after = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    check_words(texts, tokenizer)
    rows = tokenizer(list(texts)).input_ids if texts else []
    return [np.asarray([*before, *row, *after][: context + 1], dtype=np.int32) for row in rows]


def collate(rows: Sequence[np.ndarray], width: int = 0) -> Batch:
    """One batch of rows, padded to the longest, or to `width` where that is more."""
    length = max(width, max(len(row) for row in rows) - 1)
    inputs = torch.zeros(len(rows), length, dtype=torch.long)
    targets = torch.full((len(rows), length), IGNORED, dtype=torch.long)
    for index, row in enumerate(rows):
        tokens = torch.from_numpy(row.astype(np.int64))
        inputs[index, : len(row) - 1] = tokens[:-1]
        targets[index, : len(row) - 1] = tokens[1:]
    return Batch(inputs, targets, sum(len(row) - 1 for row in rows))


def bucketed(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Indices in batches of neighbours by length, each of at most `batch_tokens` with padding."""
    batches: list[list[int]] = []
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        # Sorted, so the newcomer is the longest and the width of the batch.
        if batch and (len(batch) + 1) * lengths[index] > batch_tokens:
            batches.append(batch)
            batch = []
        batch.append(index)
    return [*batches, batch] if batch else batches


@dataclass(slots=True)
class Position:
    """Where a stream of batches stands; saved in a checkpoint."""

    epoch: int = 0
    batch: int = 0


class Stream:
    """Batches without end, every text once an epoch, shuffled anew by seed and epoch.

    Other ways to make batches override `_epoch`, `_collate` and `tokens`.
    """

    def __init__(
        self,
        rows: Sequence[np.ndarray],
        batch_tokens: int,
        seed: int,
        position: Position | None = None,
    ) -> None:
        self._rows = rows
        self._batch_tokens = batch_tokens
        self._seed = seed
        self._longest = max((len(row) - 1 for row in rows), default=0)
        self.position = position or Position()

    @property
    def tokens(self) -> int:
        """Targets of an epoch."""
        return sum(len(row) - 1 for row in self._rows)

    def __iter__(self) -> Iterator[Batch]:
        while True:
            order = self._epoch(self.position.epoch)
            while self.position.batch < len(order):
                indices = order[self.position.batch]
                self.position.batch += 1
                batch = self._collate(indices)
                yield replace(batch, last=self.position.batch == len(order))
            self.position.epoch += 1
            self.position.batch = 0

    def _collate(self, indices: Sequence[int]) -> Batch:
        rows = [self._rows[index] for index in indices]
        return collate(rows, self._width(max(len(row) - 1 for row in rows)))

    def _width(self, length: int) -> int:
        """Of a batch whose longest row has so many targets; never more than the longest of all."""
        return min(-(-length // _STEP) * _STEP, self._longest)

    def _epoch(self, epoch: int) -> Sequence[Sequence[int]]:
        """Shuffled before the stable sort by length, so that texts meet other neighbours."""
        dice = np.random.default_rng((self._seed, epoch))
        order = dice.permutation(len(self._rows))
        widths = [self._width(max(1, len(self._rows[index]) - 1)) for index in order]
        batches = bucketed(widths, self._batch_tokens)
        dice.shuffle(batches)
        return [[int(order[index]) for index in batch] for batch in batches]
