"""Texts as batches: whole, once an epoch, with little padding, in an order that comes back."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from training.corpus.batches import IGNORED, Position, Stream, bucketed, collate, encode
from training.corpus.tokenizers import train_bpe

LENGTHS = np.random.default_rng(1).integers(2, 60, 200)
ROWS = [np.arange(length, dtype=np.int32) + 100 * n for n, length in enumerate(LENGTHS)]


def test_a_text_is_begun_and_ended_and_cut_at_the_context() -> None:
    tokenizer = train_bpe(["the fox"], 260)
    end = tokenizer.eos_token_id
    fox = tokenizer("fox").input_ids[1:]
    whole, cut = encode(["fox", "fox" * 10], tokenizer, context=9)
    assert whole.tolist() == [end, *fox, end]
    assert len(cut) == 10
    assert encode([], tokenizer, context=9) == []


def test_targets_are_the_next_tokens_and_padding_is_ignored() -> None:
    batch = collate([np.array([7, 1, 2, 3]), np.array([7, 4])])
    assert batch.inputs.tolist()[0] == [7, 1, 2]
    assert batch.inputs[1, 0] == 7
    assert batch.targets.tolist() == [[1, 2, 3], [4, IGNORED, IGNORED]]
    assert batch.tokens == 4
    assert batch.inputs.dtype == batch.targets.dtype == torch.long


def test_batches_of_neighbours_keep_to_the_budget_and_pad_little() -> None:
    lengths = LENGTHS.tolist()
    batches = bucketed(lengths, 256)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    padded = [len(batch) * max(lengths[index] for index in batch) for batch in batches]
    assert max(padded) <= 256
    assert sum(padded) < 1.1 * sum(lengths)


def test_a_text_longer_than_the_budget_is_a_batch_of_its_own() -> None:
    assert bucketed([5, 900, 5], 100) == [[0, 2], [1]]


def test_batches_have_few_shapes_and_none_is_wider_than_the_longest_text() -> None:
    rows = [np.arange(2 + length) for length in range(1, 100)] * 20
    stream = Stream(rows, 512, seed=1)
    shapes = set()
    for batch in stream:
        if stream.position.epoch == 1:
            break
        shapes.add(tuple(batch.inputs.shape))
        assert batch.inputs.numel() <= 512
        assert batch.tokens == (batch.targets != IGNORED).sum()
    widths = {width for _, width in shapes}
    assert widths == {*range(8, 104, 8), 100}
    assert len(shapes) <= 2.5 * len(widths)


def texts_of(batch_inputs: torch.Tensor) -> list[int]:
    return [int(first) // 100 for first in batch_inputs[:, 0]]


def test_every_text_comes_once_an_epoch_and_each_epoch_is_shuffled_anew() -> None:
    stream = Stream(ROWS, 256, seed=3)
    orders: list[list[int]] = [[], []]
    for batch in stream:
        if stream.position.epoch == 2:
            break
        orders[stream.position.epoch] += texts_of(batch.inputs)
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(len(ROWS)))
    assert orders[0] != orders[1]


@pytest.mark.parametrize("read", [1, 7, 40, 90])
def test_a_stream_goes_on_from_its_position(read: int) -> None:
    whole = [batch.inputs for batch in islice(Stream(ROWS, 256, seed=3), 100)]
    first = Stream(ROWS, 256, seed=3)
    for _ in islice(first, read):
        pass
    position = Position(first.position.epoch, first.position.batch)
    rest = [batch.inputs for batch in islice(Stream(ROWS, 256, 3, position), 100 - read)]
    for expected, batch in zip(whole[read:], rest, strict=True):
        assert torch.equal(expected, batch)


def test_another_seed_is_another_order() -> None:
    first, second = (texts_of(next(iter(Stream(ROWS, 256, seed))).inputs) for seed in (1, 2))
    assert first != second
