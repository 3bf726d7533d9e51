from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from training.learning.dropout import ByteDropout, quicken_dropout


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_share_is_dropped_and_the_rest_makes_up_for_it(kind: torch.dtype) -> None:
    torch.manual_seed(1)
    features = torch.ones(1001, 777, dtype=kind)
    told = ByteDropout(0.1)(features)
    assert told.dtype == kind
    share = (told == 0).float().mean(0)  # by column, so that no byte of a throw is unfair
    assert share.mean().item() == pytest.approx(26 / 256, abs=1e-3)
    assert share.max().item() < 0.16
    assert told.float().mean().item() == pytest.approx(1, abs=5e-3)


def test_each_byte_of_a_throw_is_a_fair_die() -> None:
    torch.manual_seed(1)
    dropped = ByteDropout(0.5)(torch.ones(200_000, 8)) == 0
    assert dropped.float().mean(0).tolist() == pytest.approx([0.5] * 8, abs=5e-3)
    told = dropped.float()
    alike = (told.T @ told) / len(told)
    assert alike[~torch.eye(8, dtype=torch.bool)].tolist() == pytest.approx([0.25] * 56, abs=5e-3)


def test_what_was_dropped_has_no_gradient() -> None:
    features = torch.randn(13, 7, requires_grad=True)
    told = ByteDropout(0.3)(features)
    told.sum().backward()
    assert features.grad is not None
    assert torch.equal(features.grad == 0, told == 0)
    assert torch.allclose(features.grad * features, told)


def test_nothing_is_dropped_outside_training() -> None:
    features = torch.randn(5, 3)
    assert torch.equal(ByteDropout(0.5).eval()(features), features)
    assert torch.equal(ByteDropout(0.001)(features), features)
    assert not ByteDropout(1.0)(features).any()


def test_torchs_dice_are_thrown() -> None:
    """So a checkpoint, which keeps them, brings the same masks back."""
    features, drop = torch.ones(64, 64), ByteDropout(0.5)
    before = torch.get_rng_state()
    first, second = drop(features), drop(features)
    torch.set_rng_state(before)
    assert torch.equal(drop(features), first)
    assert torch.equal(drop(features), second)
    assert not torch.equal(first, second)


def test_a_models_dropouts_are_replaced() -> None:
    model = GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=2, n_head=2, resid_pdrop=0.25))
    quicken_dropout(model)
    found = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    assert len(found) == 7
    assert all(isinstance(module, ByteDropout) for module in found)
    assert [module.p for module in found] == [0.1, *2 * [0.1, 0.25, 0.25]]
