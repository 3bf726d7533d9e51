"""How the article made batches: texts of any length together, or one stream in windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from training.corpus.batches import IGNORED, Batch, Position, Stream
from training.errors import InputError
from training.recipe import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.recipe import Training


def open_stream(
    rows: Sequence[np.ndarray], training: Training, end: int, position: Position
) -> Stream:
    """The batches that a recipe asks for.

    Args:
        rows: token ids of texts.
        training: the recipe's section.
        end: the end-of-text token, which is the padding too.
        position: where to go on.

    Raises:
        InputError: the texts are too few for one window.
    """
    if training.window:
        return Windows(rows, training.batch_rows, training.window, position)
    if training.batch_rows:
        padding = end if Fault.PADDING in training.faults else None
        return MixedRows(rows, training.batch_rows, training.seed, position, padding=padding)
    return Stream(rows, training.batch_tokens, training.seed, position)


class MixedRows(Stream):
    """So many texts in a batch, long beside short."""

    def __init__(
        self,
        rows: Sequence[np.ndarray],
        batch_rows: int,
        seed: int,
        position: Position | None = None,
        *,
        padding: int | None = None,
    ) -> None:
        """As a `Stream`; with `padding`, the token up to the longest text, a target as any."""
        super().__init__(rows, 0, seed, position)
        self._batch_rows = batch_rows
        self._padding = padding

    @property
    def tokens(self) -> int:
        """Targets of an epoch, padding among them where it counts."""
        return super().tokens if self._padding is None else len(self._rows) * self._longest

    def _epoch(self, epoch: int) -> Sequence[Sequence[int]]:
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self._rows)).tolist()
        starts = range(0, len(order), self._batch_rows)
        return [order[start : start + self._batch_rows] for start in starts]

    def _collate(self, indices: Sequence[int]) -> Batch:
        batch = super()._collate(indices)
        if self._padding is None:
            return batch
        missing = (0, self._longest - batch.inputs.shape[1])
        inputs = torch.nn.functional.pad(batch.inputs, missing)
        targets = torch.nn.functional.pad(batch.targets, missing, value=IGNORED)
        empty = targets == IGNORED
        return Batch(
            inputs.masked_fill(empty, self._padding),
            targets.masked_fill(empty, self._padding),
            targets.numel(),
        )


class Windows(Stream):
    """All texts end to end, cut into equal pieces side by side, read window after window."""

    def __init__(
        self,
        rows: Sequence[np.ndarray],
        pieces: int,
        window: int,
        position: Position | None = None,
    ) -> None:
        """Between two texts stands one end-of-text token, which each begins with.

        Raises:
            InputError: a piece is shorter than a window.
        """
        super().__init__(rows, 0, 0, position)
        stream = np.concatenate([row[:-1] for row in rows]) if rows else np.empty(0, np.int32)
        self._window = window
        self._count = (len(stream) // pieces - 1) // window
        if self._count < 1:
            raise InputError(
                f"{len(stream):,} tokens are too few for {pieces} windows of {window} side by "
                "side: lower training.batch_rows, or give more texts."
            )
        length = len(stream) // pieces
        self._pieces = torch.from_numpy(
            stream[: pieces * length].reshape(pieces, length).astype(np.int64)
        )

    @property
    def tokens(self) -> int:
        """Targets of an epoch; less than a window at the end of each piece is left out."""
        return len(self._pieces) * self._count * self._window

    def _epoch(self, epoch: int) -> Sequence[Sequence[int]]:  # noqa: ARG002  # always this order
        return [[number] for number in range(self._count)]

    def _collate(self, indices: Sequence[int]) -> Batch:
        start = indices[0] * self._window
        read = self._pieces[:, start : start + self._window + 1]
        return Batch(read[:, :-1], read[:, 1:], len(read) * self._window)
