"""OpenVINO GenAI's continuous batching with int8 weights; the model is built in its operations.

The graph is the stateful one that its pipeline turns into paged attention: past keys and values are
variables that each step reads, reorders by `beam_idx` and extends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino
import openvino_genai
import torch
from openvino import opset13 as ops
from openvino.op.util import Variable, VariableInfo
from transformers import GPT2LMHeadModel

from generator.bench.work import MissingPeerError

if TYPE_CHECKING:
    from pathlib import Path

    from generator.bench.work import Workload
    from generator.models.loading import LoadedModel


class OpenVINO:
    """All stories are given at once; its own scheduler batches them."""

    name = "openvino"

    def __init__(self, folder: Path) -> None:
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.cache_size = 2  # GB
        scheduler.max_num_seqs = 256
        scheduler.enable_prefix_caching = False
        self._pipeline: Any = openvino_genai.ContinuousBatchingPipeline(folder, scheduler, "CPU")

    def tell(self, workload: Workload) -> float | None:
        """See `Contestant.tell`."""
        settings = openvino_genai.GenerationConfig()
        settings.max_new_tokens = settings.min_new_tokens = workload.tokens
        settings.ignore_eos = True
        settings.set_eos_token_id(0)
        if workload.sampling.temperature > 0:
            settings.do_sample = True
            settings.temperature = workload.sampling.temperature
            settings.top_k = workload.sampling.top_k
            settings.top_p = workload.sampling.top_p
        prompts = [openvino.Tensor(np.array([prompt], np.int64)) for prompt in workload.prompts]
        told = self._pipeline.generate(prompts, [settings] * len(prompts))
        if any(len(one.m_generation_ids[0]) != workload.tokens for one in told):
            raise RuntimeError("OpenVINO told stories of another length")
        return None

    def close(self) -> None:
        """See `Contestant.close`."""
        del self._pipeline


def load(_: Path, loaded: LoadedModel, scratch: Path) -> OpenVINO:
    """See `rounds._peer`."""
    model = loaded.model
    if not isinstance(model, GPT2LMHeadModel) or loaded.device.type != "cpu":
        raise MissingPeerError("told here for GPT-2 on a CPU only")
    folder = scratch / "openvino"
    folder.mkdir()
    openvino.save_model(_graph(model), folder / "openvino_model.xml", compress_to_fp16=False)
    return OpenVINO(folder)


def _graph(model: GPT2LMHeadModel) -> Any:
    config, parts = model.config, model.transformer
    heads, size = config.n_head, config.n_embd // config.n_head
    tokens = ops.parameter([-1, -1], np.int64, name="input_ids")
    mask = ops.parameter([-1, -1], np.int64, name="attention_mask")
    positions = ops.parameter([-1, -1], np.int64, name="position_ids")
    beams = ops.parameter([-1], np.int32, name="beam_idx")
    inputs = [tokens, mask, positions, beams]
    for one in inputs:
        one.output(0).get_tensor().set_names({one.get_friendly_name()})
    batch = ops.gather(ops.shape_of(tokens), _ints(0), _ints(0))
    no_past = ops.broadcast(
        np.float32(0), ops.concat([ops.unsqueeze(batch, _ints(0)), _ints([heads, 0, size])], 0)
    )
    sinks: list[Any] = []

    def remembered(name: str, fresh: Any) -> Any:
        info = VariableInfo()
        info.data_shape = openvino.PartialShape([-1, heads, -1, size])
        info.data_type, info.variable_id = openvino.Type.f32, name
        variable = Variable(info)
        past = ops.gather(ops.read_value(no_past, variable), beams, _ints(0))
        known = ops.concat([past, fresh], 2)
        sinks.append(ops.assign(known, variable))
        return known

    # Paged attention, which takes the place of what follows, is causal and needs no mask of ours;
    # without one it does not know what it is to take the place of.
    seen = ops.unsqueeze(ops.convert(mask, np.float32), _ints([1, 2]))
    unseen = ops.multiply(ops.subtract(seen, np.float32(1)), np.float32(1e9))
    embedding = _packed(parts.wte.weight)
    hidden = ops.add(
        ops.gather(embedding, tokens, _ints(0)),
        ops.gather(_floats(parts.wpe.weight), positions, _ints(0)),
    )
    for layer, block in enumerate(parts.h):
        both: Any = block
        joint = _linear(_norm(hidden, both.ln_1), both.attn.c_attn)
        query, key, value = (
            ops.transpose(ops.reshape(part, _ints([0, 0, heads, size]), True), _ints([0, 2, 1, 3]))
            for part in ops.split(joint, _ints(2), 3).outputs()
        )
        known = remembered(f"key.{layer}", key), remembered(f"value.{layer}", value)
        told = ops.scaled_dot_product_attention(query, *known, unseen)
        told = ops.reshape(ops.transpose(told, _ints([0, 2, 1, 3])), _ints([0, 0, -1]), True)
        hidden = ops.add(hidden, _linear(told, both.attn.c_proj))
        inner = ops.gelu(_linear(_norm(hidden, both.ln_2), both.mlp.c_fc), "tanh")
        hidden = ops.add(hidden, _linear(inner, both.mlp.c_proj))
    logits = ops.matmul(_norm(hidden, parts.ln_f), _packed(model.lm_head.weight), False, True)
    logits.output(0).get_tensor().set_names({"logits"})
    return openvino.Model([ops.result(logits)], sinks, inputs, "gpt2")


def _linear(rows: Any, layer: Any) -> Any:
    """A Conv1D of transformers as a product with int8 weights, one scale an output."""
    return ops.add(ops.matmul(rows, _packed(layer.weight.T), False, True), _floats(layer.bias))


def _packed(weight: torch.Tensor) -> Any:
    """(outputs, inputs) as int8 times scales, the form that OpenVINO keeps compressed."""
    scales = weight.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
    steps = (weight / scales).round().to(torch.int8)
    whole = ops.convert(ops.constant(steps.numpy()), np.float32)
    return ops.multiply(whole, _floats(scales))


def _norm(rows: Any, norm: Any) -> Any:
    even = ops.mvn(rows, _ints([-1]), True, norm.eps, "INSIDE_SQRT")
    return ops.add(ops.multiply(even, _floats(norm.weight)), _floats(norm.bias))


def _floats(weight: torch.Tensor) -> Any:
    return ops.constant(weight.detach().float().contiguous().numpy())


def _ints(numbers: int | list[int]) -> Any:
    return ops.constant(np.array(numbers, np.int64))
