"""A new vocabulary for a pretrained model, whose layers keep what they know.

Gee et al. 2022, "Fast Vocabulary Transfer for Language Model Compression" (arXiv 2402.09977): each
new token begins as the mean of the old tokens that spell it. Most of a small vocabulary are tokens
of the large one and begin as just these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from training.corpus.tokenizers import END
from training.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def change_tokens(
    model: PreTrainedModel, old: PreTrainedTokenizerFast, new: PreTrainedTokenizerFast
) -> None:
    """Gives a model the embeddings, and the head, of a byte-level BPE of ours.

    Args:
        model: changed in place; its vocabulary becomes as large as `new`.
        old: its own, a byte-level BPE too.
        new: made by `training.tokenizers.train_bpe`.

    Raises:
        InputError: `old` does not spell as a byte-level BPE does.
    """
    pieces = _pieces(old, new)
    embedding: Any = model.get_input_embeddings()
    head: Any = model.get_output_embeddings()
    tables = [_means(embedding.weight.detach(), pieces)]
    if getattr(head, "bias", None) is not None:
        raise InputError("model.name: its head has a bias for each token, which has no mean here.")
    if head.weight is not embedding.weight:
        tables.append(_means(head.weight.detach(), pieces))
    model.resize_token_embeddings(len(new), mean_resizing=False)
    resized: list[Any] = [model.get_input_embeddings(), model.get_output_embeddings()]
    with torch.no_grad():
        for layer, table in zip(resized, tables, strict=False):  # a tied head has none of its own
            layer.weight.copy_(table)
    resized[0].padding_idx = None  # the old one is another token now, and would not learn
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(model.config, name, new.eos_token_id)


def _pieces(old: PreTrainedTokenizerFast, new: PreTrainedTokenizerFast) -> list[list[int]]:
    """The old ids that spell each new token; none for what the old one cannot spell."""
    backend: Any = old.backend_tokenizer
    if backend.token_to_id("\u0120") is None:  # a space, as byte-level BPEs write it
        raise InputError("model.name: its tokens are not a byte-level BPE's; keep them.")
    pieces = []
    for token in new.convert_ids_to_tokens(list(range(len(new)))):
        whole = backend.token_to_id(token)
        if token == END:
            end = old.eos_token_id if whole is None else whole
            pieces.append([] if end is None else [end])
        elif whole is not None:
            pieces.append([whole])
        else:
            pieces.append([piece.id for piece in backend.model.tokenize(token)])
    return pieces


def _means(table: Tensor, pieces: list[list[int]]) -> Tensor:
    """(new tokens, width): of the rows that spell each; of all where there are none."""
    middle = table.mean(dim=0)
    return torch.stack([table[ids].mean(dim=0) if ids else middle for ids in pieces])
