"""A model as a GGUF file without a vocabulary, its matrices in Q8_0: what llama.cpp reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gguf
from gguf.quants import quantize
from transformers import GPT2LMHeadModel, LlamaForCausalLM, Qwen2ForCausalLM

if TYPE_CHECKING:
    from pathlib import Path

    import torch

_OF_GPT2 = {  # ours, then llama.cpp's
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
_OF_LLAMA = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def can_be_written(model: object) -> bool:
    """Whether it is of a kind that `write` knows."""
    return isinstance(model, GPT2LMHeadModel | LlamaForCausalLM | Qwen2ForCausalLM)


def write(model: Any, file: Path) -> None:
    """A model that `can_be_written`."""
    config = model.config
    writer = gguf.GGUFWriter(str(file), config.model_type)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_tokenizer_model("no_vocab")
    if isinstance(model, GPT2LMHeadModel):
        _add_gpt2(writer, model)
    else:
        _add_llama(writer, model)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_gpt2(writer: Any, model: GPT2LMHeadModel) -> None:
    config, parts = model.config, model.transformer
    writer.add_feed_forward_length(config.n_inner or 4 * config.n_embd)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
    _add(writer, "token_embd.weight", parts.wte.weight)
    _add(writer, "output.weight", model.lm_head.weight)
    _add(writer, "position_embd.weight", parts.wpe.weight, packed=False)
    _add(writer, "output_norm.weight", parts.ln_f.weight)
    _add(writer, "output_norm.bias", parts.ln_f.bias)
    for layer, block in enumerate(parts.h):
        for ours, theirs in _OF_GPT2.items():
            part: Any = block.get_submodule(ours)
            # A Conv1D keeps its weight turned over.
            weight = part.weight.T if part.weight.dim() > 1 else part.weight
            _add(writer, f"blk.{layer}.{theirs}.weight", weight)
            _add(writer, f"blk.{layer}.{theirs}.bias", part.bias)


def _add_llama(writer: Any, model: Any) -> None:
    config, parts = model.config, model.model
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    _add(writer, "token_embd.weight", parts.embed_tokens.weight)
    if not config.tie_word_embeddings:
        _add(writer, "output.weight", model.lm_head.weight)
    _add(writer, "output_norm.weight", parts.norm.weight)
    for layer, block in enumerate(parts.layers):
        for ours, theirs in _OF_LLAMA.items():
            part = block.get_submodule(ours)
            for name, tensor in part.named_parameters():
                # Of a Llama, not of a Qwen2, llama.cpp turns neighbours instead of halves.
                if theirs in heads and config.model_type == "llama":
                    halves = tensor.unflatten(0, (heads[theirs], 2, size // 2))
                    tensor = halves.transpose(1, 2).flatten(0, 2)  # noqa: PLW2901
                _add(writer, f"blk.{layer}.{theirs}.{name}", tensor)


def _add(writer: Any, name: str, weight: torch.Tensor, *, packed: bool = True) -> None:
    numbers: Any = weight.detach().float().contiguous().numpy()
    kind = gguf.GGMLQuantizationType.Q8_0 if packed and weight.dim() > 1 else None
    writer.add_tensor(name, numbers if kind is None else quantize(numbers, kind), raw_dtype=kind)
