"""A GPT-2 and an LSTM as their folders hold them: a shape, and weights under transformers' names.

Nothing computes here; decoders do. So a model is served without transformers, whose modelling code
takes longer to import than torch itself.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

LSTM_KIND: Literal["kataribe-lstm"] = "kataribe-lstm"
GPT2_KIND: Literal["gpt2"] = "gpt2"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """The part of a config.json that says how large the model is."""

    vocab_size: int
    tie_word_embeddings: bool
    """Whether the head is the embedding, unless the weights have another."""

    @classmethod
    def of(cls, config: object) -> Self:
        """Of whatever has its numbers under the same names."""
        return cls(**{field.name: getattr(config, field.name) for field in fields(cls)})


@dataclass(frozen=True, slots=True, kw_only=True)
class GPT2Shape(_Shape):
    """A GPT-2's; names are transformers'."""

    model_type: ClassVar[str] = GPT2_KIND

    n_positions: int
    n_embd: int
    n_layer: int
    n_head: int
    n_inner: int | None
    """None: four times `n_embd`."""
    activation_function: str
    layer_norm_epsilon: float
    scale_attn_weights: bool
    scale_attn_by_inverse_layer_idx: bool

    @property
    def max_position_embeddings(self) -> int:
        """Tokens of prompt and story together."""
        return self.n_positions

    @property
    def fewest(self) -> int:
        """Weights that it has at least."""
        return self.vocab_size * self.n_embd + self.n_layer * self.n_embd**2

    def scaling(self, layer: int) -> float:
        """Of the products of queries and keys."""
        scale: float = (self.n_embd // self.n_head) ** -0.5 if self.scale_attn_weights else 1.0
        return scale / (layer + 1) if self.scale_attn_by_inverse_layer_idx else scale


@dataclass(frozen=True, slots=True, kw_only=True)
class LSTMShape(_Shape):
    """An LSTM's; see `LSTMConfig`."""

    model_type: ClassVar[str] = LSTM_KIND

    embedding_size: int
    hidden_size: int
    num_layers: int
    max_position_embeddings: int

    @property
    def fewest(self) -> int:
        """Weights that it has at least."""
        return self.vocab_size * self.embedding_size + self.num_layers * self.hidden_size**2


class GPT2(nn.Module):
    """The weights of transformers' `GPT2LMHeadModel`."""

    def __init__(self, shape: GPT2Shape, tensors: Mapping[str, Tensor]) -> None:
        """Takes the tensors as they are.

        Args:
            shape: of the model.
            tensors: by their names in the folder; where the head is the embedding, without it.

        Raises:
            RuntimeError: some are missing, too many, or of another shape.
        """
        super().__init__()
        self.config = shape
        with torch.device("meta"):
            self.transformer = _GPT2Body(shape)
            self.lm_head = nn.Linear(shape.n_embd, shape.vocab_size, bias=False)
        _fill(self, tensors, head="lm_head.weight", embedding="transformer.wte.weight")


class LSTM(nn.Module):
    """The weights of an `LSTMForCausalLM`."""

    def __init__(self, shape: LSTMShape, tensors: Mapping[str, Tensor]) -> None:
        """Takes the tensors as they are; see `GPT2`."""
        super().__init__()
        self.config = shape
        width = shape.embedding_size if shape.tie_word_embeddings else shape.hidden_size
        self.projection: nn.Linear | None = None
        with torch.device("meta"):
            self.embedding = _embedding(shape.vocab_size, shape.embedding_size)
            self.lstm = nn.LSTM(
                shape.embedding_size, shape.hidden_size, shape.num_layers, batch_first=True
            )
            if width != shape.hidden_size:
                self.projection = nn.Linear(shape.hidden_size, width)
            self.head = nn.Linear(width, shape.vocab_size, bias=False)
        _fill(self, tensors, head="head.weight", embedding="embedding.weight")


def _fill(model: GPT2 | LSTM, tensors: Mapping[str, Tensor], *, head: str, embedding: str) -> None:
    """Where both are there and differ, they stay two, whatever the shape says: as transformers."""
    given = dict(tensors)
    tied = model.config.tie_word_embeddings and embedding in given
    if tied and head in given:
        tied = torch.equal(given[head], given[embedding])
    if tied:
        given[head] = given[embedding]
    model.load_state_dict(given, assign=True)
    if tied:
        model.get_submodule(head.removesuffix(".weight")).weight = model.get_parameter(embedding)
    model.eval().requires_grad_(requires_grad=False)


def _embedding(rows: int, width: int) -> nn.Embedding:
    """Without numbers drawn for it, which on no device at all loads torch's compiler first."""
    table: nn.Embedding = nn.Embedding.from_pretrained(torch.empty(rows, width))
    return table


class _GPT2Body(nn.Module):
    def __init__(self, shape: GPT2Shape) -> None:
        super().__init__()
        self.wte = _embedding(shape.vocab_size, shape.n_embd)
        self.wpe = _embedding(shape.n_positions, shape.n_embd)
        self.h = nn.ModuleList(GPT2Block(shape, layer) for layer in range(shape.n_layer))
        self.ln_f = nn.LayerNorm(shape.n_embd, eps=shape.layer_norm_epsilon)


class GPT2Block(nn.Module):
    """One layer."""

    def __init__(self, shape: GPT2Shape, layer: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(shape.n_embd, eps=shape.layer_norm_epsilon)
        self.attn = _Attention(shape.n_embd, shape.scaling(layer))
        self.ln_2 = nn.LayerNorm(shape.n_embd, eps=shape.layer_norm_epsilon)
        self.mlp = _Inner(shape.n_embd, shape.n_inner or 4 * shape.n_embd)


class _Attention(nn.Module):
    def __init__(self, width: int, scaling: float) -> None:
        super().__init__()
        self.c_attn, self.c_proj = Conv1D(width, 3 * width), Conv1D(width, width)
        self.scaling = scaling


class _Inner(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.c_fc, self.c_proj = Conv1D(width, inner), Conv1D(inner, width)


class Conv1D(nn.Module):
    """A linear layer with its weight turned over: (inputs, outputs)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))
