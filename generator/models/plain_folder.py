"""Model folders as our training and transformers write them, read without transformers.

Each file is described here to the last name. Where one says anything else, transformers reads the
folder (`reference`), and knows what it means or what is wrong with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter
from tokenizers import AddedToken, Tokenizer

from generator.models.shapes import GPT2Shape, LlamaShape, LSTMShape
from generator.models.errors import ModelFolderError
from generator.models.tokens import Tokens, is_panic, plain
from generator.sampling.settings import StorySettings

if TYPE_CHECKING:
    from pathlib import Path

    from generator.models.shapes import Shape

_Size = Annotated[int, Field(gt=0)]
_KNOWN = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "tokenizer.json",
)
ADAPTER = "adapter_config.json"
"""With which a folder's weights are not its model's."""
_OTHERS = (ADAPTER, "added_tokens.json", "special_tokens_map.json")
"""Files that change what those say."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _Config(_File):
    """What config.json may say of any model; what is unused is of training or of no story."""

    architectures: list[str]
    dtype: Literal["float32", "float16", "bfloat16"]
    transformers_version: str
    tie_word_embeddings: bool
    vocab_size: _Size
    bos_token_id: int | None
    eos_token_id: int | list[int] | None
    pad_token_id: int | None


class _GPT2Config(_Config):
    model_type: Literal["gpt2"]
    n_positions: _Size
    n_embd: _Size
    n_layer: _Size
    n_head: _Size
    n_inner: _Size | None
    activation_function: Literal["gelu_new", "gelu_pytorch_tanh"]
    layer_norm_epsilon: float
    scale_attn_weights: bool
    scale_attn_by_inverse_layer_idx: bool
    add_cross_attention: Literal[False]
    reorder_and_upcast_attn: bool
    use_cache: bool
    initializer_range: float
    attn_pdrop: float
    embd_pdrop: float
    resid_pdrop: float
    summary_activation: str | None
    summary_first_dropout: float
    summary_proj_to_labels: bool
    summary_type: str
    summary_use_proj: bool


class _LSTMConfig(_Config):
    model_type: Literal["kataribe-lstm"]
    embedding_size: _Size
    hidden_size: _Size
    num_layers: _Size
    max_position_embeddings: _Size
    input_dropout: float
    layer_dropout: float
    output_dropout: float
    locked_dropout: bool
    weight_drop: float
    float32_layers: bool = False


def _usual_rotation(rope: dict[str, str | float]) -> dict[str, str | float]:
    """Of positions that turn as the first Llama's did."""
    base = rope.get("rope_theta")
    if rope != {"rope_type": "default", "rope_theta": base} or not isinstance(base, float):
        raise ValueError("positions that turn in another way")
    return rope


class _LlamaLike(_Config):
    max_position_embeddings: _Size
    hidden_size: _Size
    intermediate_size: _Size
    num_hidden_layers: _Size
    num_attention_heads: _Size
    num_key_value_heads: _Size
    hidden_act: Literal["silu", "gelu_pytorch_tanh"]
    rms_norm_eps: float
    rope_parameters: Annotated[dict[str, str | float], AfterValidator(_usual_rotation)]
    use_cache: bool
    initializer_range: float
    attention_dropout: float


class _LlamaConfig(_LlamaLike):
    model_type: Literal["llama"]
    head_dim: _Size
    attention_bias: bool
    mlp_bias: bool
    pretraining_tp: int | None


class _Qwen2Config(_LlamaLike):
    model_type: Literal["qwen2"]
    use_sliding_window: Literal[False]
    sliding_window: None
    max_window_layers: int
    layer_types: list[Literal["full_attention"]]


class _Generation(_File):
    """generation_config.json, apart from `StorySettings`."""

    eos_token_id: int | list[int]
    bos_token_id: int | None = None
    pad_token_id: int | None = None
    do_sample: bool = False
    output_attentions: Literal[False] = False
    output_hidden_states: Literal[False] = False
    transformers_version: str | None = None
    use_cache: bool = True
    from_model_config: bool = Field(default=False, alias="_from_model_config")


class _TokenizerConfig(_File):
    """tokenizer_config.json of a tokenizer that tokenizer.json holds whole."""

    tokenizer_class: Literal["TokenizersBackend", "PreTrainedTokenizerFast"]
    backend: Literal["tokenizers"] = "tokenizers"
    bos_token: str | None = None
    eos_token: str | None = None
    unk_token: str | None = None
    pad_token: str | None = None
    extra_special_tokens: list[str] = []
    model_max_length: int | None = None
    clean_up_tokenization_spaces: bool = False
    is_local: bool = True
    local_files_only: bool = False

    @property
    def special(self) -> set[str]:
        """All that it names."""
        named = self.bos_token, self.eos_token, self.unk_token, self.pad_token
        return {token for token in (*named, *self.extra_special_tokens) if token is not None}


_Known = _GPT2Config | _LSTMConfig | _LlamaConfig | _Qwen2Config
_CONFIGS: TypeAdapter[_Known] = TypeAdapter(Annotated[_Known, Field(discriminator="model_type")])


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainFolder:
    """What a folder holds, but its weights."""

    shape: Shape
    tokens: Tokens
    settings: StorySettings
    ends: tuple[int, ...]
    """Token ids that end a story."""


def read_plain(folder: Path) -> PlainFolder | None:
    """The folder's settings and tokenizer; None: it is transformers' to read."""
    if any((folder / other).exists() for other in _OTHERS):
        return None
    if not all((folder / known).is_file() for known in _KNOWN):  # a pipe would never end
        return None
    try:
        config = _CONFIGS.validate_json((folder / "config.json").read_bytes())
        if isinstance(config, _Qwen2Config):  # transformers gives it a tokenizer of its own
            return None
        shape = _shape(config)
        said: Any = json.loads((folder / "generation_config.json").read_bytes())
        own = {name: said.pop(name) for name in StorySettings.model_fields if name in said}
        settings, wrong = StorySettings.read(own)
        ends = _Generation.model_validate(said).eos_token_id
        tokens = _read_tokens(folder)
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError, ModelFolderError):
        return None  # pydantic's, JSON's, ours
    if tokens is None or wrong or not _divides(config):
        return None
    return PlainFolder(
        shape=shape,
        tokens=tokens,
        settings=settings,
        ends=tuple(ends) if isinstance(ends, list) else (ends,),
    )


def read_shape(folder: Path) -> Shape | None:
    """How large its config.json says that the model is; None: it is transformers' to read."""
    try:
        return _shape(_CONFIGS.validate_json((folder / "config.json").read_bytes()))
    except (OSError, ValueError, ArithmeticError, RuntimeError, ModelFolderError):
        return None


def _shape(config: _Known) -> Shape:
    match config:
        case _GPT2Config():
            return GPT2Shape.of(config)
        case _LSTMConfig():
            return LSTMShape.of(config)
        case _:
            return LlamaShape.of(config)


def _divides(config: _Known) -> bool:
    match config:
        case _GPT2Config():
            return config.n_embd % config.n_head == 0
        case _LSTMConfig():
            return True
        case _:
            return config.hidden_size % config.num_attention_heads == 0


def _read_tokens(folder: Path) -> Tokens | None:
    config = _TokenizerConfig.model_validate_json((folder / "tokenizer_config.json").read_bytes())
    try:
        backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
        if backend.padding is not None:  # transformers takes its token for a special one
            return None
        plain(backend)
    except BaseException as error:
        if not (is_panic(error) or isinstance(error, Exception)):
            raise
        return None
    if backend.post_processor is None:
        return None
    added = {token.content: token for token in backend.get_added_tokens_decoder().values()}
    for name in config.special:  # transformers would add or change any other
        if added.get(name) != AddedToken(name, special=True, normalized=False):
            return None

    def of(name: str | None) -> int | None:
        return None if name is None else backend.token_to_id(name)

    return Tokens(
        backend=backend,
        bos_id=of(config.bos_token),
        eos_id=of(config.eos_token),
        unk_id=of(config.unk_token),
    )
