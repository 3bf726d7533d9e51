"""A recipe's tokenizer and model, new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
)

from generator.models.lstm import LSTMConfig, LSTMForCausalLM
from training.corpus.tokenizers import END, begin_texts, train_bpe, train_words
from training.errors import InputError
from training.recipe import GPT2, LSTM, Fault, Pretrained, Teacher
from training.teaching.retokening import change_tokens
from training.teaching.teacher import reach

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

    from training.recipe import Recipe, Tokens


_TOLD = ("gpt2", LSTMConfig.model_type)


def build_tokenizer(recipe: Recipe, texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Learns a vocabulary from the training texts, or takes the teacher's or pretrained model's.

    Raises:
        InputError: there is no such model, or teacher and pretrained model have other tokens.
    """
    tokens = recipe.tokens
    if tokens.kind == "pretrained":
        places = {"teacher.name": recipe.teacher, "model.name": recipe.model}
        found = {
            place: _beginning_texts(_load(AutoTokenizer, whose.name, place), place)
            for place, whose in places.items()
            if isinstance(whose, Teacher | Pretrained)
        }
        tokenizer, *others = found.values()
        if any(other.get_vocab() != tokenizer.get_vocab() for other in others):
            raise InputError("teacher.name: it has other tokens than the model, and must not.")
        return tokenizer
    if tokens.kind == "bpe":
        return train_bpe(texts, tokens.vocab_size)
    every_word = Fault.NO_UNKNOWN_WORD in recipe.training.faults
    return train_words(texts, tokens.vocab_size, tokens.min_frequency, every_word=every_word)


def build_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """A model of the recipe's shape with random weights, by torch's seed; or a pretrained one.

    Raises:
        InputError: there is no such model.
    """
    shape = recipe.model
    if isinstance(shape, Pretrained):
        return _pretrained(shape, tokenizer, recipe.tokens)
    ids: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    if isinstance(shape, GPT2):
        return GPT2LMHeadModel(
            GPT2Config(
                **ids,
                resid_pdrop=shape.dropout,
                embd_pdrop=shape.dropout,
                attn_pdrop=0.0,  # with it a CPU leaves its fast attention
                n_embd=shape.embedding_size,
                n_layer=shape.num_layers,
                n_head=shape.num_heads,
                n_positions=shape.context,
                activation_function="gelu_pytorch_tanh",  # gelu_new in one kernel
            )
        )
    if isinstance(shape, LSTM):
        return LSTMForCausalLM(
            LSTMConfig(
                **ids,
                embedding_size=shape.embedding_size,
                hidden_size=shape.hidden_size,
                num_layers=shape.num_layers,
                max_position_embeddings=shape.context,
                tie_word_embeddings=shape.tied,
                input_dropout=shape.input_dropout,
                layer_dropout=shape.layer_dropout,
                output_dropout=shape.output_dropout,
                locked_dropout=shape.locked_dropout,
                weight_drop=shape.weight_drop,
                float32_layers=shape.float32_layers,
            )
        )
    assert_never(shape)


def _pretrained(
    shape: Pretrained, tokenizer: PreTrainedTokenizerFast, tokens: Tokens
) -> PreTrainedModel:
    config = _load(AutoConfig, shape.name)
    if config.model_type not in _TOLD and not shape.teaches:
        raise InputError(
            f"model.name: {shape.name} is a {config.model_type}; the generator tells from GPT-2 "
            "and our LSTM only. It can teach one of them: model.teaches=true."
        )
    options = {"dtype": torch.float32, "use_safetensors": True, **_dropouts(shape, config)}
    model: PreTrainedModel = _load(AutoModelForCausalLM, shape.name, options=options)
    if shape.context > (most := reach(model, "model.name")):
        raise InputError(f"model.context: {shape.name} reads {most} tokens at most.")
    if tokens.kind == "bpe":
        if isinstance(config, LSTMConfig):
            raise InputError("tokens.kind: our LSTM keeps its tokens; bpe is for a transformer.")
        change_tokens(model, _load(AutoTokenizer, shape.name), tokenizer)
    return model


def _dropouts(shape: Pretrained, config: PreTrainedConfig) -> dict[str, float]:
    """Those of the recipe, under the names that the model's kind has for them."""
    if shape.dropout is None:
        return {}
    names: tuple[str, ...] = ("resid_pdrop", "embd_pdrop")
    if isinstance(config, LSTMConfig):
        names = ("input_dropout", "layer_dropout", "output_dropout")
    return dict.fromkeys(names, shape.dropout)


def _beginning_texts(tokenizer: PreTrainedTokenizerFast, place: str) -> PreTrainedTokenizerFast:
    if END not in tokenizer.get_vocab():
        raise InputError(f"{place}: its tokens have no {END}; tokens.kind='bpe' gives it ours.")
    return begin_texts(tokenizer)


def _load(
    kind: Any, name: str, place: str = "model.name", options: dict[str, Any] | None = None
) -> Any:
    try:
        return kind.from_pretrained(name, trust_remote_code=False, **(options or {}))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{place}: {name} is no model folder and cannot be had from the hub."
        ) from error
