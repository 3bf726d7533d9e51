"""Small models as GGUF files, written by ggml's own package."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import gguf
from gguf.quants import quantize
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

_TURNED = ("attn_qkv", "attn_output", "ffn_up", "ffn_down")
"""Matrices that a GPT-2 keeps turned over."""


def save_gguf(folder: Path, source: Path, kind: str = "F32", **said: Any) -> Path:
    """The model of another folder as one file, with its tokenizer.

    Args:
        folder: that gets it.
        source: a folder that transformers wrote.
        kind: of the matrices' weights, as ggml names it.
        said: more settings, by the names of `GGUFWriter`'s methods without `add_`.

    Returns:
        The file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{folder.name}.{kind}.gguf"
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(source)
    config: Any = model.config
    arch = config.model_type
    writer = gguf.GGUFWriter(str(file), arch)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    if arch == "gpt2":
        writer.add_feed_forward_length(4 * config.hidden_size)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
    else:
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
        writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    for name, value in said.items():
        getattr(writer, f"add_{name}")(value)
    _add_tokenizer(writer, source, config.vocab_size, "qwen2" if arch == "qwen2" else "gpt-2")
    arches = {name: one for one, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(arches[arch], config.num_hidden_layers)
    head = config.tie_word_embeddings and "lm_head.weight"
    for name, weight in model.state_dict().items():
        if name != head:
            ggml = names.get_name(name, try_suffixes=(".weight", ".bias")) or name
            _add(writer, ggml, _as_ggml_has_it(ggml, weight, config), kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _as_ggml_has_it(name: str, weight: Tensor, config: Any) -> Tensor:
    if config.model_type == "gpt2":
        turned = any(part in name for part in _TURNED) and weight.dim() > 1
        return weight.T if turned else weight
    if config.model_type == "llama" and (".attn_q." in name or ".attn_k." in name):
        heads = config.num_attention_heads if ".attn_q." in name else config.num_key_value_heads
        halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
        return halves.swapaxes(1, 2).reshape(weight.shape)  # pairs of a turn beside each other
    return weight


def _add(writer: gguf.GGUFWriter, name: str, weight: Tensor, kind: str) -> None:
    numbers: Any = weight.float().contiguous().numpy()
    packed = gguf.GGMLQuantizationType[kind]
    if kind == "F32" or weight.dim() < 2:
        writer.add_tensor(name, numbers)
    else:
        writer.add_tensor(name, quantize(numbers, packed), raw_dtype=packed)


def _add_tokenizer(writer: gguf.GGUFWriter, source: Path, size: int, pre: str) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(source)
    vocabulary = {token: name for name, token in tokenizer.get_vocab().items()}
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([vocabulary.get(token, f"[PAD{token}]") for token in range(size)])
    kinds = gguf.TokenType
    special = set(tokenizer.all_special_ids)
    writer.add_token_types(
        [
            kinds.CONTROL
            if token in special
            else kinds.NORMAL
            if token in vocabulary
            else kinds.UNUSED
            for token in range(size)
        ]
    )
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_eos_token_id(tokenizer.eos_token_id)
