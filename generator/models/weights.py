"""A GPT-2, an LSTM and a Llama as their folders hold them: weights under transformers' names.

Nothing computes here; decoders do. So a model is served without transformers, whose modelling code
takes longer to import than torch itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, cast

import torch
from torch import Tensor, nn

from generator.models.shapes import GPT2Shape, LlamaShape, LSTMShape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generator.models.rows import Rows
    from generator.models.shapes import Shape


class Names(NamedTuple):
    """What a kind of model calls its own."""

    prefix: str
    """All that is not the head begins with it."""
    head: str
    embedding: str


class GPT2(nn.Module):
    """The weights of transformers' `GPT2LMHeadModel`."""

    names: ClassVar = Names("transformer.", "lm_head.weight", "transformer.wte.weight")

    def __init__(self, shape: GPT2Shape, tensors: Mapping[str, Tensor] | None) -> None:
        """Takes the tensors as they are.

        Args:
            shape: of the model.
            tensors: by their names in the folder; where the head is the embedding, without it.
                None: there are none, and what is wanted is their names and sizes.

        Raises:
            RuntimeError: some are missing, too many, or of another shape.
        """
        super().__init__()
        self.config = shape
        with torch.device("meta"):
            self.transformer = _GPT2Body(shape)
            self.lm_head = nn.Linear(shape.n_embd, shape.vocab_size, bias=False)
        _fill(self, tensors)


class LSTM(nn.Module):
    """The weights of an `LSTMForCausalLM`."""

    names: ClassVar = Names("", "head.weight", "embedding.weight")

    def __init__(self, shape: LSTMShape, tensors: Mapping[str, Tensor] | None) -> None:
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
        _fill(self, tensors)


class Llama(nn.Module):
    """The weights of transformers' `LlamaForCausalLM`, or of its `Qwen2ForCausalLM`."""

    names: ClassVar = Names("model.", "lm_head.weight", "model.embed_tokens.weight")

    def __init__(self, shape: LlamaShape, tensors: Mapping[str, Tensor] | None) -> None:
        """Takes the tensors as they are; see `GPT2`."""
        super().__init__()
        self.config = shape
        with torch.device("meta"):
            self.model = _LlamaBody(shape)
            self.lm_head = nn.Linear(shape.hidden_size, shape.vocab_size, bias=False)
        _fill(self, tensors)

    def join(self) -> list[tuple[Joined, Joined]]:
        """Of each layer the weight and bias of queries, keys and values; and of gate and up.

        So that what reads the same numbers is one product. The parameters become views of what is
        joined, so there is one copy, as long as none of them is moved.
        """
        joined = []
        for module in self.model.layers:
            block = cast("LlamaBlock", module)
            attention, inner = block.self_attn, block.mlp
            mixing = _join(attention.q_proj, attention.k_proj, attention.v_proj)
            joined.append((mixing, _join(inner.gate_proj, inner.up_proj)))
        return joined


Joined = tuple[Tensor, Tensor | None]
"""The weight and the bias of linear layers, one below the other."""

Weights = GPT2 | LSTM | Llama


def weights_of(shape: Shape, tensors: Mapping[str, Tensor] | None) -> Weights:
    """The tensors as the shape's own kind of model has them; see `GPT2`."""
    match shape:
        case GPT2Shape():
            return GPT2(shape, tensors)
        case LSTMShape():
            return LSTM(shape, tensors)
        case LlamaShape():
            return Llama(shape, tensors)


def fitting(shape: Shape, given: Mapping[str, Rows]) -> dict[str, Rows]:
    """What a model of the shape is made of, under transformers' names, and nothing else.

    Names may lack what those of the whole model begin with, as in the first GPT-2's folder
    (`wte.weight`). Without a head where the head is the embedding.

    Raises:
        ValueError: weights are missing, or of another size.
    """
    model = weights_of(shape, None)
    prefix, head, _ = model.names
    if not any(name.startswith(prefix) for name in given):
        given = {name if name == head else prefix + name: rows for name, rows in given.items()}
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if shape.tie_word_embeddings and head not in given:
        del wanted[head]
    if lacking := sorted(wanted.keys() - given.keys()):
        raise ValueError(f"its weights lack {lacking[0]} (of {len(lacking)})")
    for name, size in wanted.items():
        if (found := tuple(given[name].shape)) != size:
            raise ValueError(f"{name} is of the size {found}, and by its config.json {tuple(size)}")
    return {name: given[name] for name in wanted}


def _fill(model: Weights, tensors: Mapping[str, Tensor] | None) -> None:
    """Where both are there and differ, they stay two, whatever the shape says: as transformers."""
    if tensors is None:
        return
    given = dict(tensors)
    _, head, embedding = model.names
    tied = model.config.tie_word_embeddings and embedding in given
    if tied and head in given:
        tied = torch.equal(given[head], given[embedding])
    if tied:
        given[head] = given[embedding]
    model.load_state_dict(given, assign=True)
    if tied:
        model.get_submodule(head.removesuffix(".weight")).weight = model.get_parameter(embedding)
    model.eval().requires_grad_(requires_grad=False)


def _join(*layers: nn.Linear) -> Joined:
    parts = [dict(layer.named_parameters()) for layer in layers]
    joined = {name: _joined([part[name] for part in parts]) for name in parts[0]}
    return joined["weight"], joined.get("bias")


def _joined(parts: list[nn.Parameter]) -> Tensor:
    whole = torch.cat([part.data for part in parts])
    for part, view in zip(parts, whole.split([len(part) for part in parts]), strict=True):
        part.data = view
    return whole


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


class _LlamaBody(nn.Module):
    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.embed_tokens = _embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(LlamaBlock(shape) for _ in range(shape.num_hidden_layers))
        self.norm = nn.RMSNorm(shape.hidden_size, eps=shape.rms_norm_eps)


class LlamaBlock(nn.Module):
    """One layer."""

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(shape.hidden_size, eps=shape.rms_norm_eps)
        self.self_attn = LlamaAttention(shape)
        self.post_attention_layernorm = nn.RMSNorm(shape.hidden_size, eps=shape.rms_norm_eps)
        self.mlp = LlamaInner(shape)


class LlamaAttention(nn.Module):
    """Its matrices; keys and values are as narrow as their heads."""

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        hidden, query = shape.hidden_size, shape.num_attention_heads * shape.head_dim
        keys = shape.num_key_value_heads * shape.head_dim
        self.q_proj = nn.Linear(hidden, query, bias=shape.query_bias)
        self.k_proj = nn.Linear(hidden, keys, bias=shape.query_bias)
        self.v_proj = nn.Linear(hidden, keys, bias=shape.query_bias)
        self.o_proj = nn.Linear(query, hidden, bias=shape.out_bias)


class LlamaInner(nn.Module):
    """Down of (act(gate) x up): SwiGLU where `hidden_act` is silu (Shazeer 2020)."""

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        hidden, inner = shape.hidden_size, shape.intermediate_size
        self.gate_proj = nn.Linear(hidden, inner, bias=shape.mlp_bias)
        self.up_proj = nn.Linear(hidden, inner, bias=shape.mlp_bias)
        self.down_proj = nn.Linear(inner, hidden, bias=shape.mlp_bias)
