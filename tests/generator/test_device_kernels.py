"""The GPU's kernels beside the reference: on a GPU, or by Triton's interpreter.

Without a GPU: pip install triton, and TRITON_INTERPRET=1 in the environment.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
if DEVICE.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("there is no GPU, and TRITON_INTERPRET is not 1", allow_module_level=True)
pytest.importorskip("triton")

from generator.models.gpt2_rows import GPT2Rows  # noqa: E402
from generator.models.llama_rows import LlamaRows  # noqa: E402
from generator.models.lstm import LSTMConfig, LSTMForCausalLM  # noqa: E402
from generator.models.lstm_rows import LSTMRows  # noqa: E402
from generator.sampling.device_sampler import DeviceSampler  # noqa: E402
from generator.sampling.memfree import MemFree  # noqa: E402
from generator.sampling.requests import Request  # noqa: E402
from generator.sampling.rules import Rules  # noqa: E402
from generator.sampling.settings import Sampling  # noqa: E402
from generator.sampling.torch_sampler import TorchSampler  # noqa: E402
from generator.sampling.vocabulary import Vocabulary  # noqa: E402
from tests.generator.small_llamas import small_llama, weights  # noqa: E402

SIZE, CONTEXT, PROMPT, LENGTH = 9001, 64, 20, 40
SAMPLINGS = [
    Sampling(),
    Sampling(temperature=0),
    Sampling(top_k=8),
    Sampling(top_p=0.8),
    Sampling(min_p=0.1),
    Sampling(repetition_penalty=1.5),
    Sampling(no_repeat_ngram_size=2),
    Sampling(no_repeat_ngram_size=1, temperature=0.7),
    Sampling(temperature=1.3, top_k=20, top_p=0.9, min_p=0.02, repetition_penalty=1.2),
    Sampling(temperature=0.6, top_k=1000, top_p=0.95),
    Sampling(temperature=2, top_k=300, top_p=0.5),
    Sampling(temperature=0.3, top_k=5000, top_p=0.99, min_p=0.001),
    Sampling(frequency_penalty=1.1, presence_penalty=-0.5),
    Sampling(memfree=True, temperature=0.7, top_p=0.95, no_repeat_ngram_size=4),
    Sampling(memfree=True, temperature=0),
    Sampling(memfree=True, top_k=3),
]


def test_the_kernels_draw_what_the_reference_draws() -> None:
    rng = np.random.default_rng(0)
    slots = 3 * len(SAMPLINGS)
    # A filter that takes a quarter of all n-grams for its own, so that much is drawn again.
    memfree = MemFree(np.full(4096, 0x55, np.uint8), ngram_size=7, hashes=2)
    vocabulary = Vocabulary(
        ends=(0, 7),
        continuations=np.array([*range(10, 20), *range(500, 900)], np.int32),
        growing=np.arange(600, 800, dtype=np.int32),
        suppressed=np.array([3, 9], np.int32),
        # Of the tokens that are often told, half after any other, and runs that no story tells.
        bad_words=np.array(
            [(-1, one, two) for one in range(1, 30) for two in range(one % 2, 30, 2)]
            + [(-1, -1, 5), (40, 6, 8)],
            np.int32,
        ),
        memfree=memfree,
    )
    stories = rng.integers(1, 30, (slots, CONTEXT)).astype(np.int32)
    stories[:, LENGTH - 10 : LENGTH] = stories[:, :10]  # so that a word is told again
    rules = Rules(slots)
    for slot in range(slots):
        request = Request(
            prompt=tuple(stories[slot, :PROMPT].tolist()),
            sampling=SAMPLINGS[slot % len(SAMPLINGS)],
            seed=int(rng.integers(2**63)),
            max_tokens=50,
            min_tokens=25 if slot % 2 else 0,
        )
        rules.put(slot, request)
    rules.rows["new_word_at"][::3] = LENGTH
    sampler = DeviceSampler(rules, CONTEXT, vocabulary, SIZE, DEVICE, fused=True)
    reference = TorchSampler(rules, stories, vocabulary)
    sampler.begin(range(slots))
    told = torch.from_numpy(stories).to(DEVICE)
    for slot in range(slots):
        where = torch.full((PROMPT,), slot, device=DEVICE)
        sampler.read_prompt(told[slot, :PROMPT], where, torch.arange(PROMPT, device=DEVICE))
    for position in range(PROMPT, LENGTH):
        sampler.places[0], sampler.places[1] = position, told[:, position]
        sampler.read()
    same = 0
    for turn in range(3):
        logits = torch.from_numpy(rng.normal(0, 2, (slots, SIZE)).astype(np.float32))
        logits[:, :30] += 3
        logits[np.arange(slots), stories[:, 10 + turn]] += 9
        sampler.places[0], sampler.places[1] = LENGTH + turn - 1, told[:, LENGTH + turn - 1]
        sampler.draw(logits.clone().to(DEVICE))
        lengths = np.full(slots, LENGTH + turn, np.int32)
        expected = reference.draw(logits.clone(), np.arange(slots, dtype=np.int32), lengths)
        drawn = sampler.drawn.cpu().numpy()
        same += int((drawn == expected).sum())
        assert sampler.places[0].tolist() == lengths.tolist()
        stories[:, LENGTH + turn] = drawn
        told[:, LENGTH + turn] = sampler.drawn
        sampler.read()
    assert same >= 3 * slots - 1  # where two are as near as logarithms round


def test_a_row_without_a_story_is_left_alone() -> None:
    rules = Rules(3)
    rules.put(1, Request(prompt=(1,), sampling=Sampling(), seed=1, max_tokens=1))
    sampler = DeviceSampler(rules, CONTEXT, Vocabulary(), SIZE, DEVICE, fused=True)
    sampler.begin([1])
    sampler.places[0] = torch.tensor([-1, 0, -1])
    sampler.places[1] = torch.tensor([-1, 1, -1])
    before = sampler.drawn.fill_(5).clone()
    tokens, slots, positions = sampler.read()
    assert (tokens.tolist(), slots.tolist(), positions.tolist()) == ([0, 1, 0], [3, 1, 3], [0] * 3)
    sampler.draw(torch.zeros(3, SIZE, device=DEVICE))
    assert sampler.places[0].tolist() == [-1, 1, -1]
    assert (sampler.drawn == before).tolist()[::2] == [True, True]


def read_all(rows: GPT2Rows | LlamaRows, story: torch.Tensor) -> torch.Tensor:
    """Logits after each token, read in two pieces, the second of which begins in a block."""
    told: list[torch.Tensor] = []
    for piece in story.split(65):
        start = 65 * len(told)
        positions = torch.arange(start, start + len(piece), dtype=torch.int32, device=DEVICE)
        tokens = piece.to(DEVICE, torch.int32)
        last = rows.read(tokens, torch.full_like(positions, 2), positions)
        told.append(rows.logits(last).float().cpu())
    return torch.cat(told)


def test_attention_and_norms_are_those_of_transformers() -> None:
    """Sizes that are no powers of two, and a story of more than one block."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=96,
        n_positions=144,
        n_embd=36,
        n_layer=3,
        n_head=3,
        initializer_range=0.2,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config).eval().requires_grad_(requires_grad=False)
    for part in model.parameters():
        if part.dim() == 1:
            part.add_(torch.randn_like(part), alpha=0.1)
    story = torch.randint(96, (130,))
    with torch.inference_mode():
        expected = model(story[None]).logits[0]
        told = read_all(GPT2Rows(model.to(DEVICE), 4, fused=True), story)
    torch.testing.assert_close(told, expected, atol=2e-4, rtol=1e-4)


SHAPE: dict[str, Any] = {
    "num_hidden_layers": 2,
    "max_position_embeddings": 144,
    "initializer_range": 0.1,
}
LLAMAS: dict[str, dict[str, Any]] = {
    "heads that share": {"hidden_size": 576, "num_attention_heads": 9, "num_key_value_heads": 3},
    "qwen2": {"kind": "qwen2", "hidden_size": 288, "num_attention_heads": 6},
    "biases": {"attention_bias": True, "mlp_bias": True, "head_dim": 20, "num_key_value_heads": 4},
    "another gate": {"hidden_act": "gelu_pytorch_tanh", "num_key_value_heads": 1},
}


@pytest.mark.parametrize("changes", LLAMAS.values(), ids=LLAMAS)
def test_turns_gates_and_shared_keys_are_those_of_transformers(changes: dict[str, Any]) -> None:
    model = small_llama(**SHAPE | changes)
    story = torch.randint(96, (130,))
    with torch.inference_mode():
        expected = model(story[None]).logits[0]
    ours = weights(model).to(DEVICE)
    with torch.inference_mode():
        told = read_all(LlamaRows(ours, 4, context=136, fused=True), story)
    torch.testing.assert_close(told, expected, atol=5e-4, rtol=1e-4)


@pytest.mark.parametrize("floats", [torch.bfloat16, torch.float16], ids=str)
def test_in_half_the_bits_the_kernels_are_as_near_as_torch(floats: torch.dtype) -> None:
    """To what the same weights tell in float32."""
    model = small_llama(**SHAPE | {"hidden_size": 288, "num_attention_heads": 6})
    ours = weights(model).to(DEVICE, floats)
    story = torch.randint(96, (130,))
    with torch.inference_mode():
        plain, fused = (read_all(LlamaRows(ours, 4, fused=fused), story) for fused in (False, True))
        exact = read_all(LlamaRows(ours.float(), 4, fused=False), story)
    assert (fused - exact).abs().mean() <= 1.2 * (plain - exact).abs().mean()


def test_the_lstm_is_that_of_torch() -> None:
    """In slots that held other stories before, with inputs of another size than its states."""
    torch.manual_seed(0)
    config = LSTMConfig(vocab_size=96, embedding_size=20, hidden_size=36, num_layers=3)
    model = LSTMForCausalLM(config)
    module: torch.nn.Module = model
    module.eval().requires_grad_(requires_grad=False)
    stories = torch.randint(96, (5, 9))
    with torch.inference_mode():
        expected = model(stories).logits
        module.to(DEVICE)
        rows = LSTMRows(model, 5, fused=True)
        slots = torch.tensor([4, 0, 5, 1, 3], device=DEVICE)
        told = stories.to(DEVICE, torch.int32)
        for _ in range(2):
            for position in range(stories.shape[1]):
                positions = torch.full((5,), position, dtype=torch.int32, device=DEVICE)
                last = rows.read(told[:, position].contiguous(), slots, positions)
                logits = rows.logits(last).cpu()
                torch.testing.assert_close(logits, expected[:, position], atol=2e-5, rtol=1e-4)
