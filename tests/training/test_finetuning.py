"""A pretrained GPT-2 goes on with a corpus, from a folder as transformers writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

from generator.models.loading import load_model
from tests.training.small import STORIES, TEXTS, TOKENIZER, TRAIN, loop, recipe
from training.__main__ import main
from training.corpus.batches import collate, encode
from training.errors import InputError
from training.learning.building import build_model
from training.learning.lora import add_lora
from training.learning.muon import CPUMuon
from training.learning.optimization import optimizers
from training.likelihood import likelihood, token_losses
from training.recipe import Pretrained, load_recipe

if TYPE_CHECKING:
    from pathlib import Path

MATRICES = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")


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


def base(pretrained: Path) -> list[str]:
    return [f"model.name='{pretrained}'", "model.context=160"]


def finetune(pretrained: Path, tmp_path: Path, *settings: str) -> int:
    corpus = tmp_path / "corpus.jsonl"
    assert main(["clean", str(STORIES), "--out", str(corpus)]) == 0
    given = [
        *base(pretrained), "training.learning_rate=1e-2", "sampling.max_new_tokens=20", *settings
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


def test_lora_learns_beside_frozen_weights_and_leaves_an_ordinary_model(
    pretrained: Path, tmp_path: Path
) -> None:
    settings = ["model.lora_rank=4", "training.learning_rate=3e-2"]
    assert finetune(pretrained, tmp_path, *settings) == 0
    before = load_file(pretrained / "model.safetensors")
    after = load_file(tmp_path / "tuned" / "model.safetensors")
    assert set(after) == set(before)
    changed = {
        name for name, weight in after.items() if not torch.equal(weight, before[name].half())
    }
    assert changed == {f"transformer.h.0.{part}.weight" for part in MATRICES}
    for part in changed:
        learned = torch.linalg.svdvals(after[part].float() - before[part])
        assert learned[3] > 10 * learned[4], "it is the sum of four products"
    texts = TEXTS[:20]
    bits = [
        likelihood(GPT2LMHeadModel.from_pretrained(folder), TOKENIZER, texts).bits_per_byte
        for folder in (pretrained, tmp_path / "tuned")
    ]
    assert bits[1] < bits[0]


def test_a_tokenizer_in_two_files_as_gpt2s_is_gone_on_with(tmp_path: Path) -> None:
    """A folder as the hub has GPT-2's: vocab.json and merges.txt, and no tokenizer.json."""
    hub = tmp_path / "hub"
    torch.manual_seed(4)
    config = GPT2Config(
        vocab_size=len(TOKENIZER), n_positions=160, n_embd=32, n_layer=1, n_head=2,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model: Any = GPT2LMHeadModel(config)
    model.save_pretrained(hub)
    TOKENIZER.backend_tokenizer.model.save(str(hub))
    assert {"vocab.json", "merges.txt"} < {path.name for path in hub.iterdir()}
    assert finetune(hub, tmp_path) == 0
    tuned = load_model(tmp_path / "tuned")
    text = "<|endoftext|>In the year"
    assert tuned.tokenizer(text).input_ids == TOKENIZER(text).input_ids
    assert tuned.ends == (0,)


@pytest.mark.parametrize("kind", ["gpt2", "lstm"])
def test_a_starter_has_another_sitting(kind: Literal["gpt2", "lstm"], tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    torch.manual_seed(3)
    model: Any = build_model(recipe(kind), TOKENIZER)
    model.save_pretrained(first)
    TOKENIZER.save_pretrained(first)
    settings = [
        f"model.name='{first}'", "model.context=128", "sampling.max_new_tokens=20",
        "training.epochs=6", "training.learning_rate=1e-2", "training.muon_learning_rate=0.02",
    ]  # fmt: skip  # the recipe is gentle with what has learned; this has not
    corpus = tmp_path / "corpus.jsonl"
    assert main(["clean", str(STORIES), "--out", str(corpus)]) == 0
    assert main(
        [
            "train", "--recipe", f"further-{kind}", "--corpus", str(corpus), "--out", str(second),
            "--runs", str(tmp_path / "runs"), *(f"--set={setting}" for setting in settings),
        ]
    ) == 0  # fmt: skip
    before, after = (
        likelihood(load_model(folder).model, TOKENIZER, TEXTS[:20]) for folder in (first, second)
    )
    assert after.bits_per_byte < before.bits_per_byte - 0.5
    card = (second / "README.md").read_text(encoding="utf-8")
    assert ("An LSTM of" in card) == ("`generator.models.lstm` is imported" in card)
    assert ("An LSTM of" if kind == "lstm" else "A GPT-2 of") in card


def test_another_kind_of_model_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt_neox"}')
    TOKENIZER.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="is a gpt_neox; the generator tells from GPT-2"):
        build_model(load_recipe("finetune-gpt2", [f"model.name='{tmp_path}'"]), TOKENIZER)


def test_a_damaged_model_is_one_clear_error(pretrained: Path) -> None:
    weights = pretrained / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match="is no model folder"):
        build_model(load_recipe("finetune-gpt2", base(pretrained)), TOKENIZER)


def test_lora_may_learn_by_muon(pretrained: Path) -> None:
    settings = [*base(pretrained), "model.lora_rank=4", "training.optimizer='muon'"]
    chosen = load_recipe("finetune-gpt2", settings)
    model = build_model(chosen, TOKENIZER)
    assert isinstance(chosen.model, Pretrained)
    add_lora(model, chosen.model)
    assert [type(found) for found in optimizers(model, chosen.training)] == [CPUMuon]


def test_the_dropouts_of_an_lstm_can_be_others(tmp_path: Path) -> None:
    build_model(recipe("lstm"), TOKENIZER).save_pretrained(tmp_path)
    settings = [f"model.name='{tmp_path}'", "model.context=128", "model.dropout=0.3"]
    chosen = load_recipe("further-lstm", settings)
    config = build_model(chosen, TOKENIZER).config
    told = config.input_dropout, config.layer_dropout, config.output_dropout, config.weight_drop
    assert told == (0.3, 0.3, 0.3, 0.1)


def test_the_pretrained_models_dropout_can_be_another(pretrained: Path) -> None:
    chosen = load_recipe("finetune-gpt2", [*base(pretrained), "model.dropout=0.25"])
    config = build_model(chosen, TOKENIZER).config
    assert (config.embd_pdrop, config.resid_pdrop) == (0.25, 0.25)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("model.name='./nothing-here'", "nothing-here is no model folder"),
        ("model.context=1000", "reads 160 tokens at most"),
        ("tokens.kind='words'", "a pretrained model has its own tokens"),
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
