"""A pretrained model takes a new vocabulary, and keeps what it knows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.training.small import TEXTS, TOKENIZER, llama
from training.corpus.tokenizers import train_bpe
from training.errors import InputError
from training.teaching.retokening import change_tokens


@torch.inference_mode()
def logits(model: Any, tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    ids = tokenizer(TEXTS[0], return_tensors="pt").input_ids
    found: torch.Tensor = model(input_ids=ids).logits
    return found


@pytest.mark.parametrize("tied", [True, False])
def test_its_own_vocabulary_changes_nothing(tied: bool) -> None:  # a parameter
    model = llama(len(TOKENIZER), tied=tied)
    before = logits(model, TOKENIZER)
    change_tokens(model, TOKENIZER, TOKENIZER)
    torch.testing.assert_close(logits(model, TOKENIZER), before)


@pytest.mark.parametrize("tied", [True, False])
def test_a_new_token_is_the_mean_of_those_that_spell_it(tied: bool) -> None:
    larger = train_bpe(TEXTS, 500)
    known = TOKENIZER.get_vocab()
    word = next(token for token in larger.get_vocab() if token not in known)
    pieces = TOKENIZER.backend_tokenizer.model.tokenize(word)
    assert len(pieces) > 1
    model = llama(len(TOKENIZER), tied=tied)
    old = [layer.weight.clone() for layer in (model.lm_head, model.get_input_embeddings())]
    change_tokens(model, TOKENIZER, larger)
    new = [layer.weight for layer in (model.lm_head, model.get_input_embeddings())]
    assert model.config.vocab_size == len(larger)
    place = larger.convert_tokens_to_ids(word)
    same = larger.convert_tokens_to_ids("e")
    for before, after in zip(old, new, strict=True):
        expected = before[[piece.id for piece in pieces]].mean(dim=0)
        torch.testing.assert_close(after[place], expected)
        torch.testing.assert_close(after[same], before[known["e"]])
    assert (new[0] is new[1]) == tied


def test_what_the_old_tokens_cannot_spell_is_their_mean() -> None:
    """Some vocabularies lack bytes that no UTF-8 text has."""
    few = Tokenizer(models.BPE(vocab={"<|endoftext|>": 0, "a": 1, "Ġ": 2}, merges=[]))
    few.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    old = PreTrainedTokenizerFast(tokenizer_object=few, eos_token="<|endoftext|>")
    model = llama(3)
    middle = model.get_input_embeddings().weight.mean(dim=0)
    change_tokens(model, old, TOKENIZER)
    place = TOKENIZER.convert_tokens_to_ids("z")
    torch.testing.assert_close(model.get_input_embeddings().weight[place], middle)


def test_ends_are_the_new_tokenizers() -> None:
    model = llama(len(TOKENIZER))
    model.config.eos_token_id = 7
    change_tokens(model, TOKENIZER, TOKENIZER)
    assert model.config.eos_token_id == TOKENIZER.eos_token_id


def test_other_kinds_of_tokens_are_refused() -> None:
    words = Tokenizer(models.WordLevel(vocab={"a": 0, "b": 1}, unk_token="a"))
    old = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="b")
    with pytest.raises(InputError, match="not a byte-level BPE's"):
        change_tokens(llama(2), old, TOKENIZER)
