from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from generator.models.decoder import Batch
from generator.models.errors import ModelFolderError
from generator.models.llama import LlamaDecoder
from generator.models.shapes import LlamaShape
from tests.generator.mixed_steps import check_mixed_steps, ints
from tests.generator.small_llamas import ROPE, STRETCHED, small_llama, weights


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("llama", {}),
        ("llama", {"num_key_value_heads": 4}),
        ("llama", {"num_key_value_heads": 1, "head_dim": 32}),
        ("llama", {"attention_bias": True, "mlp_bias": True}),
        ("llama", {"tie_word_embeddings": True, "rms_norm_eps": 0.1}),
        ("llama", {"hidden_act": "gelu_pytorch_tanh"}),
        ("llama", {"rope_parameters": ROPE | {"rope_theta": 100.0}}),
        ("llama", {"rope_parameters": STRETCHED}),
        ("qwen2", {}),
    ],
    ids=str,
)
def test_logits_are_those_of_transformers(kind: str, changes: dict[str, Any]) -> None:
    """Prompts in pieces, single tokens, and slots that lie idle in between, in mixed steps."""
    model = small_llama(kind, **changes)
    stories = torch.randint(96, (6, 48), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = model(stories).logits
    check_mixed_steps(LlamaDecoder(weights(model), slots=6), stories, expected)


def test_greedy_stories_are_those_of_transformers() -> None:
    """Of 200 prompts, told together."""
    model: Any = small_llama(eos_token_id=None)
    prompts = torch.randint(96, (200, 8), generator=torch.Generator().manual_seed(2))
    settings = GenerationConfig(max_new_tokens=24, do_sample=False, pad_token_id=0)
    expected = model.generate(
        prompts, attention_mask=torch.ones_like(prompts), generation_config=settings
    )
    decoder, slots = LlamaDecoder(weights(model), slots=200), np.arange(200, dtype=np.int32)
    told, new = prompts, prompts
    while told.shape[1] < expected.shape[1]:
        step = Batch(
            slots=slots,
            starts=np.full(200, told.shape[1] - new.shape[1], np.int32),
            counts=np.full(200, new.shape[1], np.int32),
            tokens=new.flatten().numpy().astype(np.int32),
        )
        new = decoder.step(step).argmax(1, keepdim=True)
        told = torch.cat([told, new], 1)
    assert torch.equal(told, expected)


def test_slots_have_room_for_no_more_than_was_asked_for() -> None:
    model = weights(small_llama(max_position_embeddings=4096))
    short, long = LlamaDecoder(model, 1, context=16), LlamaDecoder(model, 1)
    assert short.memory * 256 == long.memory
    story = Batch(
        slots=ints(0), starts=ints(0), counts=ints(16), tokens=np.arange(16, dtype=np.int32)
    )
    assert torch.equal(short.step(story), long.step(story))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
            "dynamic",
        ),
        (
            {"rope_parameters": STRETCHED | {"partial_rotary_factor": 0.25}},
            "a part of each head",
        ),
        ({"num_key_value_heads": 3}, "4 heads cannot share 3 of keys"),
        ({"head_dim": 17}, "heads of 17"),
    ],
    ids=str,
)
def test_what_cannot_be_told_is_said(changes: dict[str, Any], says: str) -> None:
    config: Any = small_llama().config
    for name, value in changes.items():
        setattr(config, name, value)
    with pytest.raises(ModelFolderError, match=says):
        LlamaShape.of(config)
