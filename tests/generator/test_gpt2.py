from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from generator.models.decoder import Batch
from generator.models.gpt2 import GPT2Decoder
from tests.generator.mixed_steps import check_mixed_steps, ints


def small(**changes: Any) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": 96,
        "n_positions": 48,
        "n_embd": 48,
        "n_layer": 3,
        "n_head": 4,
    }
    model = GPT2LMHeadModel(GPT2Config(**shape, initializer_range=0.2, **changes))
    model.eval()
    return model


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"activation_function": "relu"},
        {"n_inner": 72},
        {"scale_attn_by_inverse_layer_idx": True},
        {"scale_attn_weights": False},
        {"tie_word_embeddings": False},
        {"layer_norm_epsilon": 0.1},
    ],
    ids=str,
)
def test_logits_are_those_of_transformers(changes: dict[str, Any]) -> None:
    """Prompts in pieces, single tokens, and slots that lie idle in between, in mixed steps."""
    model = small(**changes)
    decoder = GPT2Decoder(model, slots=6)
    stories = torch.randint(96, (6, 48), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = model(stories).logits
    check_mixed_steps(decoder, stories, expected)


def test_a_new_story_sees_nothing_of_the_one_before() -> None:
    model = small()
    used, fresh = GPT2Decoder(model, slots=1), GPT2Decoder(model, slots=1)
    used.step(
        Batch(slots=ints(0), starts=ints(0), counts=ints(40), tokens=np.arange(40, dtype=np.int32))
    )
    story = Batch(slots=ints(0), starts=ints(0), counts=ints(3), tokens=ints(7, 8, 9))
    assert torch.equal(used.step(story), fresh.step(story))


def test_bfloat16_stays_close() -> None:
    story = Batch(slots=ints(0), starts=ints(0), counts=ints(20), tokens=ints(*range(20)))
    exact = GPT2Decoder(small(), slots=1).step(story)
    rough = GPT2Decoder(small().bfloat16(), slots=1).step(story)
    assert rough.dtype == torch.float32
    assert (exact - rough).norm() / exact.norm() < 0.05
