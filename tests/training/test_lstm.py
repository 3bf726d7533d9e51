"""The LSTM as a model of transformers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM

from generator.models.lstm import LSTMConfig, LSTMForCausalLM

ROOT = Path(__file__).parents[2]


def small(**changes: Any) -> LSTMForCausalLM:
    torch.manual_seed(1)
    shape = {"vocab_size": 40, "embedding_size": 8, "hidden_size": 12, "num_layers": 2}
    config = LSTMConfig(**{**shape, "bos_token_id": 0, "eos_token_id": 0, **changes})
    model = LSTMForCausalLM(config)
    model.train(mode=False)
    return model


def some_tokens(rows: int = 3, length: int = 9) -> torch.Tensor:
    return torch.randint(0, 40, (rows, length), generator=torch.Generator().manual_seed(2))


def test_one_pass_equals_step_by_step() -> None:
    model, tokens = small(), some_tokens()
    whole = model(tokens)
    state, steps = None, []
    for step in range(tokens.shape[1]):
        output = model(tokens[:, step : step + 1], state=state)
        state = output.state
        steps.append(output.logits)
    torch.testing.assert_close(torch.cat(steps, dim=1), whole.logits)
    torch.testing.assert_close(state, whole.state)


@pytest.mark.parametrize("tied", [True, False])
def test_a_folder_gives_the_same_model_back(tmp_path: Path, *, tied: bool) -> None:
    model, tokens = small(tie_word_embeddings=tied), some_tokens()
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert isinstance(loaded, LSTMForCausalLM)
    assert torch.equal(loaded(tokens).logits, model(tokens).logits)
    assert (loaded.head.weight is loaded.embedding.weight) is tied


def test_no_projection_where_sizes_agree() -> None:
    assert small(embedding_size=12).projection is None
    assert small(embedding_size=8).projection is not None
    assert small(embedding_size=8, tie_word_embeddings=False).projection is None


def test_the_loss_is_of_the_next_token() -> None:
    model, tokens = small(), some_tokens()
    labels = tokens.clone()
    labels[:, 4:] = -100
    output = model(tokens, labels=labels)
    expected = functional.cross_entropy(
        model(tokens).logits[:, :3].flatten(0, 1), tokens[:, 1:4].flatten()
    )
    torch.testing.assert_close(output.loss, expected)


def test_without_noise_training_and_telling_are_one_function() -> None:
    model, tokens = small(), some_tokens()
    told = model(tokens).logits
    torch.testing.assert_close(model.train()(tokens).logits, told)


@pytest.mark.parametrize(
    "noise", ["input_dropout", "layer_dropout", "output_dropout", "weight_drop"]
)
def test_noise_is_for_training_only(noise: str) -> None:
    model, tokens = small(**{noise: 0.5}), some_tokens()
    assert torch.equal(model(tokens).logits, small()(tokens).logits)
    model.train()
    assert not torch.allclose(model(tokens).logits, model(tokens).logits)


def test_locked_dropout_drops_the_same_features_at_every_step() -> None:
    features = torch.ones(2, 5, 8)
    locked = small(output_dropout=0.5).train()._drop(features, 0.5)
    assert torch.equal(locked, locked[:, :1].expand_as(locked))
    free = small(locked_dropout=False).train()._drop(features, 0.5)
    assert not torch.equal(free, free[:, :1].expand_as(free))


def test_its_layers_stay_in_float32_where_asked_or_where_the_processor_has_no_others() -> None:
    has_others = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    with torch.autocast("cpu", torch.bfloat16):
        for asked in (True, False):
            kept = torch.bfloat16 if has_others and not asked else torch.float32
            output = small(float32_layers=asked).train()(some_tokens())
            assert output.state[0].dtype is kept
            assert output.logits.dtype is torch.bfloat16


def test_a_processor_without_bfloat16_learns_and_tells_under_autocast() -> None:
    """In a process of its own: oneDNN reads the variable once."""
    script = """
import torch
from tests.training.test_lstm import small, some_tokens
from training.hardware import has_bf16
assert not has_bf16(torch.device("cpu"))
with torch.autocast("cpu", torch.bfloat16):
    small()(some_tokens())
    model = small().train()
    output = model(some_tokens(), labels=some_tokens())
assert output.state[0].dtype is torch.float32
assert output.logits.dtype is torch.bfloat16
output.loss.backward()
assert all(weight.grad is not None for weight in model.parameters())
"""
    environment = {"ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, env=environment)


def test_every_weight_learns() -> None:
    model = small(weight_drop=0.1, layer_dropout=0.1).train()
    model(some_tokens(), labels=some_tokens()).loss.backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_transformers_generate_tells_greedily_what_the_logits_say() -> None:
    model: Any = small()
    tokens = some_tokens(rows=1)
    told = model.generate(tokens, max_new_tokens=5, do_sample=False, eos_token_id=None)
    assert told.shape[1] == tokens.shape[1] + 5
    for end in range(tokens.shape[1], told.shape[1]):
        assert told[0, end] == model(told[:, :end]).logits[0, -1].argmax()


def test_transformers_beams_find_a_likelier_story_than_greed() -> None:
    model: Any = small()
    tokens = some_tokens(rows=1)

    def likelihood(beams: int) -> float:
        told = model.generate(
            tokens, max_new_tokens=4, num_beams=beams, do_sample=False, eos_token_id=None
        )
        scores = model(told).logits[0, tokens.shape[1] - 1 : -1].log_softmax(-1)
        return float(scores.gather(1, told[0, tokens.shape[1] :, None]).sum().detach())

    assert likelihood(8) > likelihood(1)
