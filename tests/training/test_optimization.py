"""Which optimizer trains which weights, and how fast."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch.optim import AdamW, Muon

from tests.training.small import TOKENIZER, recipe
from training.learning.building import build_model
from training.learning.muon import CPUMuon, inverse_root
from training.learning.optimization import optimizers, rate


@pytest.mark.parametrize("kind", ["gpt2", "lstm"])
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_every_weight_is_trained_once(kind: Literal["gpt2", "lstm"], optimizer: str) -> None:
    chosen = recipe(kind, optimizer=optimizer)
    model = build_model(chosen, TOKENIZER)
    trained = [
        id(weight)
        for found in optimizers(model, chosen.training)
        for group in found.param_groups
        for weight in group["params"]
    ]
    assert len(trained) == len(set(trained))
    assert set(trained) == {id(weight) for weight in model.parameters()}


@pytest.mark.parametrize("kind", ["gpt2", "lstm", "untied"])
def test_muon_takes_the_matrices_that_are_no_tables(kind: str) -> None:
    chosen = recipe("gpt2" if kind == "gpt2" else "lstm")
    if kind == "untied":
        shape = chosen.model.model_copy(update={"tied": False})
        chosen = chosen.model_copy(update={"model": shape})
    model = build_model(chosen, TOKENIZER)
    muon, adamw = optimizers(model, chosen.training)
    assert isinstance(muon, Muon)
    assert isinstance(adamw, AdamW)
    by_muon = {id(weight) for group in muon.param_groups for weight in group["params"]}
    tables = ("embedding", "wte", "wpe", "head")
    assert by_muon == {
        id(weight)
        for name, weight in model.named_parameters()
        if weight.ndim == 2 and not any(table in name for table in tables)
    }


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_vectors_do_not_decay(optimizer: str) -> None:
    chosen = recipe("gpt2", optimizer=optimizer)
    for found in optimizers(build_model(chosen, TOKENIZER), chosen.training):
        for group in found.param_groups:
            if any(weight.ndim < 2 for weight in group["params"]):
                assert group["weight_decay"] == 0


def test_the_rate_rises_stands_and_falls_to_zero() -> None:
    training = recipe("gpt2", warmup=0.1, decay=0.5).training
    assert 0 < rate(0.0, training) < rate(0.05, training) < rate(0.1, training) == 1
    assert rate(0.5, training) == 1
    assert rate(0.75, training) == pytest.approx(0.5)
    assert rate(1.0, training) == 0


def test_a_rate_may_stand_still() -> None:
    training = recipe("gpt2", warmup=0, decay=0).training
    assert {rate(share, training) for share in (0.0, 0.5, 1.0)} == {1.0}


@pytest.mark.parametrize("shape", [(24, 8), (8, 24), (16, 16), (512, 301), (520, 700)])
def test_on_a_cpu_muon_brings_singular_values_near_one_and_turns_none(
    shape: tuple[int, int],
) -> None:
    dice = torch.Generator().manual_seed(3)
    left, _ = torch.linalg.qr(torch.randn(shape[0], min(shape), generator=dice))
    right, _ = torch.linalg.qr(torch.randn(shape[1], min(shape), generator=dice))
    values = torch.logspace(0, -2, min(shape))  # of Frobenius norm under 12
    update = (left * values) @ right.T
    root = inverse_root(update, eps=1e-7)
    turned_back = left.T @ (update @ root if shape[0] > shape[1] else root @ update) @ right
    reached = turned_back.diagonal()
    assert (turned_back - torch.diag(reached)).abs().max() < 0.01
    known = values > 0.004 * values.norm()  # weaker ones grow, as torch's do, but may stay small
    assert reached[known].min() > 0.83
    assert reached.max() < 1.17


def test_on_a_cpu_muon_goes_where_torchs_goes() -> None:
    dice = torch.Generator().manual_seed(3)
    begun = torch.randn(96, 64, generator=dice)
    gradients = [torch.randn(96, 64, generator=dice) for _ in range(3)]
    changes = []
    for kind in (CPUMuon, Muon):
        matrix = torch.nn.Parameter(begun.clone())
        optimizer = kind([matrix], lr=0.1, weight_decay=0.1)
        for gradient in gradients:
            matrix.grad = gradient.clone()
            optimizer.step()
        changes.append(matrix.detach() - begun)
    ours, torchs = changes
    assert torch.cosine_similarity(ours.flatten(), torchs.flatten(), dim=0) > 0.95
    assert float(ours.norm()) == pytest.approx(
        float(torchs.norm()), rel=0.3
    )  # torch's values are 0.7 to 1.14


def test_muon_leaves_a_matrix_alone_whose_gradient_is_zero() -> None:
    matrix = torch.nn.Parameter(torch.ones(4, 3))
    optimizer = CPUMuon([matrix], lr=0.1, weight_decay=0.0)
    matrix.grad = torch.zeros(4, 3)
    optimizer.step()
    assert torch.equal(matrix.detach(), torch.ones(4, 3))
