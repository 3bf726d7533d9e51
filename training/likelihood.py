"""How well a model predicts text it has not seen, in units that compare across tokenizers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from training.bars import each
from training.corpus.batches import IGNORED, bucketed, collate, encode
from training.corpus.spelling import Spelling
from training.corpus.tokenizers import beginning, unknown_word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True, slots=True)
class Likelihood:
    """What a model pays for each of some texts."""

    nats: list[float]
    """Sum over the text's own tokens; the end-of-text token is not text and not counted."""
    read: list[str]
    """What was predicted: the text up to the model's context, and without its first token where
    the model has no token to stand before it."""

    @property
    def bytes(self) -> list[int]:
        """UTF-8 length of what was read."""
        return [len(text.encode()) for text in self.read]

    @property
    def bits_per_byte(self) -> float:
        """Unlike loss per token, comparable between models that cut texts differently."""
        return sum(self.nats) / math.log(2) / sum(self.bytes)


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Nats of each target: (rows, length) float32, zero where the target is `IGNORED`."""
    losses = functional.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return losses.view(targets.shape)


@torch.inference_mode()
def likelihood(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    *,
    spelling: Spelling | None = None,
    batch_tokens: int = 4096,
    bf16: bool = False,
    visible: bool = False,
) -> Likelihood:
    """Reads each text by itself, after the token that `beginning` names.

    So every token is predicted, the first one too, whether the tokenizer puts that token there or
    not: figures of tokenizers that do and of ones that do not would not compare.

    Texts longer than the model's context are measured, in tokens and bytes, up to there. One that
    cannot be read at all, for want of an unknown word, costs infinitely much.

    Args:
        model: any causal model.
        tokenizer: of the model.
        texts: unseen ones.
        spelling: what a word unknown to the tokenizer costs besides being unknown; without it a
            word model seems better the fewer words it knows.
        batch_tokens: in a batch, about.
        bf16: autocast.
        visible: whether a bar says how far it is.
    """
    context: int = model.config.max_position_embeddings
    unreadable = [unknown_word(text, tokenizer) is not None for text in texts]
    read = ["" if out else text for text, out in zip(texts, unreadable, strict=True)]
    rows = encode(read, tokenizer, context)
    nats = [math.inf if out else 0.0 for out in unreadable]
    model.eval()
    to_predict = [index for index, row in enumerate(rows) if len(row) > 1]
    batches = bucketed([len(rows[index]) - 1 for index in to_predict], batch_tokens)
    end = IGNORED if tokenizer.eos_token_id is None else tokenizer.eos_token_id
    for batched in each(batches, "Measuring", "batches", visible=visible):
        indices = [to_predict[place] for place in batched]
        batch = collate([rows[index] for index in indices])
        targets = batch.targets.masked_fill(batch.targets == end, IGNORED)
        device = model.device
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = model(input_ids=batch.inputs.to(device)).logits
        sums = token_losses(logits, targets.to(device)).sum(dim=1).tolist()
        for index, total in zip(indices, sums, strict=True):
            nats[index] += total
    if spelling is not None:
        for index, words in enumerate(unknown_words(texts, tokenizer, context)):
            nats[index] += sum(map(spelling.nats, words))
    begun = beginning(tokenizer) is not None
    within = [
        text if begun and len(row) <= context else _within(text, tokenizer, context)
        for text, row in zip(texts, rows, strict=True)
    ]
    return Likelihood(nats, within)


def unknown_words(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, context: int
) -> list[list[str]]:
    """The words of each text that the tokenizer does not know, lower-cased as it reads them."""
    unknown = tokenizer.unk_token_id
    if unknown is None or not texts:
        return [[] for _ in texts]
    predicted = _predicted(tokenizer, context)
    read = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)
    return [
        [
            text[start:end].lower()
            for token, (start, end) in zip(ids[predicted], offsets[predicted], strict=True)
            if token == unknown
        ]
        for text, ids, offsets in zip(texts, read.input_ids, read.offset_mapping, strict=True)
    ]


def learn_spelling(texts: Sequence[str], tokenizer: PreTrainedTokenizerFast) -> Spelling | None:
    """From the words of training texts that the tokenizer does not know; None if it knows all."""
    if tokenizer.unk_token_id is None:
        return None
    unknown = unknown_words(texts, tokenizer, 10**9)
    return Spelling(word for words in unknown for word in words)


def _predicted(tokenizer: PreTrainedTokenizerFast, context: int) -> slice:
    """Which of a text's own tokens are predicted, out of a row of `context` targets."""
    return slice(0, context) if beginning(tokenizer) is not None else slice(1, context + 1)


def _within(text: str, tokenizer: PreTrainedTokenizerFast, context: int) -> str:
    """As much of a text as is predicted."""
    read = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    predicted = _predicted(tokenizer, context)
    offsets = read.offset_mapping
    start = offsets[0][1] if predicted.start and offsets else 0
    return text[start : offsets[predicted.stop - 1][1] if len(offsets) >= predicted.stop else None]
