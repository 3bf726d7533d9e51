"""A pretrained GPT-2 goes on with a corpus, from a folder as transformers writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from tests.training.small import STORIES, TEXTS, TOKENIZER, TRAIN, loop, recipe
from training.__main__ import main
from training.batches import collate, encode
from training.likelihood import likelihood, token_losses

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pretrained(tmp_path: Path) -> Path:
    """A small GPT-2 as transformers saves it."""
    torch.manual_seed(3)
    config = GPT2Config(
        vocab_size=len(TOKENIZER), n_positions=160, n_embd=32, n_layer=1, n_head=2,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    folder = tmp_path / "pretrained"
    model: Any = GPT2LMHeadModel(config)
    model.save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return folder


def finetune(pretrained: Path, tmp_path: Path, *settings: str) -> int:
    corpus = tmp_path / "corpus.jsonl"
    assert main(["clean", str(STORIES), "--out", str(corpus)]) == 0
    given = [
        f"model.name='{pretrained}'", "model.context=160", "training.learning_rate=1e-2",
        "sampling.max_new_tokens=20", *settings,
    ]  # fmt: skip
    return main(
        [
            "train", "--recipe", "finetune-gpt2", "--corpus", str(corpus),
            "--out", str(tmp_path / "tuned"), "--runs", str(tmp_path / "runs"),
            *(f"--set={setting}" for setting in given),
        ]
    )  # fmt: skip


def test_it_goes_on_from_the_pretrained_weights(pretrained: Path, tmp_path: Path) -> None:
    assert finetune(pretrained, tmp_path) == 0
    texts = TEXTS[:20]
    before = likelihood(GPT2LMHeadModel.from_pretrained(pretrained), TOKENIZER, texts)
    after = likelihood(GPT2LMHeadModel.from_pretrained(tmp_path / "tuned"), TOKENIZER, texts)
    assert after.bits_per_byte < before.bits_per_byte
    card = (tmp_path / "tuned" / "README.md").read_text(encoding="utf-8")
    assert f"trained from the weights of {pretrained}" in card


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("model.name='./nothing-here'", "nothing-here is no model folder"),
        ("model.context=1000", "reads 160 tokens at most"),
        ("tokens.kind='bpe'", "a pretrained model has its own tokens"),
    ],
)
def test_what_cannot_be_gone_on_from_is_one_clear_error(
    pretrained: Path, tmp_path: Path, setting: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finetune(pretrained, tmp_path, setting) == 2
    assert says in capsys.readouterr().err


def test_accumulated_gradients_weigh_every_real_token_alike(tmp_path: Path) -> None:
    """Two batches of unequal size in one step are one batch of all their tokens."""
    chosen = recipe("lstm", accumulate=2, clip=1e9).model_copy(
        update={
            "model": recipe("lstm").model.model_copy(
                update={"layer_dropout": 0.0, "weight_drop": 0.0}
            )
        }
    )
    running = loop(tmp_path, chosen)
    model = running._model
    rows = encode(TRAIN, TOKENIZER, 128)
    parts = [collate(rows[:1]), collate(rows[1:6])]
    whole = collate(rows[:6])
    model.train()
    (
        token_losses(model(input_ids=whole.inputs).logits, whole.targets).sum() / whole.tokens
    ).backward()
    expected = {
        name: weight.grad.clone()
        for name, weight in model.named_parameters()
        if weight.grad is not None
    }
    model.zero_grad()
    found: dict[str, torch.Tensor] = {}
    running._optimizers[0].register_step_pre_hook(
        lambda *_: found.update(
            {
                name: weight.grad.clone()
                for name, weight in model.named_parameters()
                if weight.grad is not None
            }
        )
    )
    running._step(parts)
    assert set(found) == set(expected)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, msg=name)
