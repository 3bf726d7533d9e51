"""How large a model is: the part of its config.json that telling hangs on.

Names are transformers'. Nothing here imports it, so that a plain folder can be read without.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, Self

from generator.models.errors import ModelFolderError

LSTM_KIND: Literal["kataribe-lstm"] = "kataribe-lstm"
GPT2_KIND: Literal["gpt2"] = "gpt2"
LLAMA_KINDS = ("llama", "qwen2")
"""What is shaped like a Llama; a Qwen2 has biases of its own."""
_WIDEST_HEAD = 4096


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
    """A GPT-2's."""

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
        inner = self.n_inner or 4 * self.n_embd
        tables = (self.vocab_size + self.n_positions) * self.n_embd
        return tables + self.n_layer * self.n_embd * (4 * self.n_embd + 2 * inner)

    @property
    def layers(self) -> int:
        """One on top of the other."""
        return self.n_layer

    def kept(self, context: int) -> int:
        """Numbers that a story of so many tokens keeps: keys and values."""
        return 2 * self.n_layer * self.n_embd * context

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
        table, hidden = self.vocab_size * self.embedding_size, self.hidden_size
        first = 4 * hidden * (self.embedding_size + hidden)
        return table + first + (self.num_layers - 1) * 8 * hidden**2

    @property
    def layers(self) -> int:
        """One on top of the other."""
        return self.num_layers

    def kept(self, context: int) -> int:
        """Numbers that a story keeps, however long it is: hidden and cell states."""
        del context
        return 2 * self.num_layers * self.hidden_size


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaShape(_Shape):
    """A Llama's (Touvron et al. 2023), or that of a model built like one."""

    model_type: ClassVar[str] = "llama"

    max_position_embeddings: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    """Each is read by as many heads of queries: `groups`."""
    head_dim: int
    hidden_act: str
    rms_norm_eps: float
    query_bias: bool
    """Of queries, keys and values."""
    out_bias: bool
    """Of what attention found."""
    mlp_bias: bool
    frequencies: tuple[float, ...]
    """(head_dim / 2,): radians by which a position turns each pair of a head's numbers."""
    rotary_scale: float
    """Of the turned numbers."""

    @classmethod
    def of(cls, config: Any) -> Self:
        """Of a LlamaConfig or a Qwen2Config.

        Raises:
            ModelFolderError: it looks back in a way that is not told here.
        """
        qwen = config.model_type == "qwen2"
        if qwen and config.use_sliding_window:
            raise ModelFolderError("a Qwen2 that looks back through a window cannot be told")
        heads = config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // heads
        # Before its frequencies are reckoned: a file may say any number.
        if size > _WIDEST_HEAD or size % 2:
            raise ModelFolderError(f"heads of {size} numbers cannot be told")
        if heads % config.num_key_value_heads:
            raise ModelFolderError(
                f"{heads} heads cannot share {config.num_key_value_heads} of keys evenly"
            )
        frequencies, scale = _rotation(config, size)
        return cls(
            vocab_size=config.vocab_size,
            tie_word_embeddings=config.tie_word_embeddings,
            max_position_embeddings=config.max_position_embeddings,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.num_hidden_layers,
            num_attention_heads=heads,
            num_key_value_heads=config.num_key_value_heads,
            head_dim=size,
            hidden_act=config.hidden_act,
            rms_norm_eps=config.rms_norm_eps,
            query_bias=qwen or config.attention_bias,
            out_bias=not qwen and config.attention_bias,
            mlp_bias=not qwen and config.mlp_bias,
            frequencies=frequencies,
            rotary_scale=scale,
        )

    @property
    def groups(self) -> int:
        """Heads of queries that read one head of keys (Ainslie et al. 2023)."""
        return self.num_attention_heads // self.num_key_value_heads

    @property
    def fewest(self) -> int:
        """Weights that it has at least."""
        heads = 2 * (self.num_attention_heads + self.num_key_value_heads) * self.head_dim
        layer = self.hidden_size * (3 * self.intermediate_size + heads)
        return self.vocab_size * self.hidden_size + self.num_hidden_layers * layer

    @property
    def layers(self) -> int:
        """One on top of the other."""
        return self.num_hidden_layers

    def kept(self, context: int) -> int:
        """Numbers that a story of so many tokens keeps: keys and values."""
        return 2 * self.num_hidden_layers * self.num_key_value_heads * self.head_dim * context


Shape = GPT2Shape | LSTMShape | LlamaShape


def _rotation(config: Any, size: int) -> tuple[tuple[float, ...], float]:
    """RoPE's frequencies (Su et al. 2021), and their scale; stretched as transformers does."""
    import torch  # noqa: PLC0415

    rope: dict[str, Any] = config.rope_parameters
    kind = rope["rope_type"]
    if kind == "default":
        turns = 1.0 / rope["rope_theta"] ** (torch.arange(0, size, 2, dtype=torch.float) / size)
        return tuple(turns.tolist()), 1.0
    if kind in {"dynamic", "longrope"}:
        raise ModelFolderError(f"positions that turn by {kind} change with the story: not told")
    if rope.get("partial_rotary_factor", 1.0) != 1.0:  # how many there are hangs on it
        raise ModelFolderError("positions that turn a part of each head only are not told")
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS  # noqa: PLC0415

    turns, scale = ROPE_INIT_FUNCTIONS[kind](config, None)
    if turns.shape != (size // 2,):  # the compiled step reads so many
        raise ModelFolderError(f"{len(turns)} frequencies cannot turn heads of {size} numbers")
    return tuple(turns.tolist()), float(scale)
