"""`python -m training bench`: both trainers really train, on the same work."""

from __future__ import annotations

import copy
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.training.small import STORIES, TOKENIZER, TRAIN, VALIDATION, recipe
from training.__main__ import main
from training.corpus.batches import encode
from training.hardware import has_bf16
from training.learning.building import build_model
from training.measuring.contestants import CONTESTANTS, Work

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = """
[model]
kind = "gpt2"
embedding_size = 32
num_layers = 1
num_heads = 2
context = 64  # shorter than some of the texts

[tokens]
kind = "bpe"
vocab_size = 400

[training]
epochs = 4
batch_tokens = 256
accumulate = 2
optimizer = "muon"
learning_rate = 1e-2
weight_decay = 0.1
warmup = 0.1
decay = 0.5
target_last = 0.3
clip = 1.0
validate_every = 3
patience = 1

[sampling]
temperature = 0.7
"""


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.toml"
    path.write_text(RECIPE)
    return str(path)


def work() -> Work:
    chosen = recipe("gpt2", optimizer="adamw", epochs=1, validate_every=1000)
    torch.manual_seed(1)
    return Work(
        training=chosen.training.model_copy(update={"bf16": True}),
        model=build_model(chosen, TOKENIZER),
        tokenizer=TOKENIZER,
        rows=encode(TRAIN, TOKENIZER, 127),
        held_out=VALIDATION,
    )


@pytest.mark.parametrize("from_corpus", [False, True])
def test_a_table_for_people_and_one_json_object_last(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, from_corpus: bool
) -> None:
    words = ["bench", "--recipe", small, "--texts", "24", "--repeat", "1"]
    if from_corpus:
        corpus = str(tmp_path / "corpus.jsonl")
        assert main(["clean", str(STORIES), "--out", corpus]) == 0
        words += ["--corpus", corpus]
    capsys.readouterr()
    assert main(words) == 0
    *table, last = capsys.readouterr().out.splitlines()
    told = json.loads(last)
    assert list(told) == [
        "device", "model", "texts", "padding", "loss_untrained", "rows", "ratio_muon", "ratio",
        "ratio_tuned",
    ]  # fmt: skip
    assert told["model"].startswith("small, ")
    assert told["texts"] == 24
    assert 0 <= told["padding"] < 0.5
    ours, *others = told["rows"]
    for row in told["rows"]:
        low, high = row["tokens_per_second_low"], row["tokens_per_second_high"]
        assert 0 < low <= row["tokens_per_second"] <= high
        assert row["tokens"] == ours["tokens"] > 24
        assert row["loss"] < told["loss_untrained"] - 0.1
    names = [row["trainer"] for row in told["rows"]]
    assert names == [line.split()[0] for line in table[-4:]]
    assert names == ["kataribe", "kataribe-muon", "trainer", "trainer-tuned"]
    for row, name in zip(others, ("ratio_muon", "ratio", "ratio_tuned"), strict=True):
        expected = ours["tokens_per_second"] / row["tokens_per_second"]
        assert told[name] == pytest.approx(expected, rel=1e-2)


def test_padding_is_what_rows_of_one_length_do_without() -> None:
    rows = [np.arange(9, dtype=np.int32)] * 12
    assert replace(work(), rows=rows).padding == 0
    # One of half the length, in the one batch.
    rows = [*rows[1:], np.arange(5, dtype=np.int32)]
    assert replace(work(), rows=rows).padding == pytest.approx(4 / (12 * 8))


@pytest.mark.parametrize("name", CONTESTANTS)
def test_each_reads_every_target_once_in_batches_of_about_as_many(
    name: str, tmp_path: Path
) -> None:
    todo = work()
    model = copy.deepcopy(todo.model)
    read: list[tuple[int, ...]] = []

    def remember(_: Any, __: Any, given: dict[str, Any]) -> None:
        if model.training:  # ours also measures
            read.append(tuple(given["input_ids"].shape))

    model.register_forward_pre_hook(remember, with_kwargs=True)
    assert CONTESTANTS[name](todo, model, tmp_path).tokens == todo.tokens
    assert sum(rows for rows, _ in read) == len(TRAIN)
    assert len(read) == pytest.approx(len(TRAIN) / todo.batch_rows, abs=1)


def test_only_the_tuned_trainer_computes_in_bfloat16_whichever_was_before(tmp_path: Path) -> None:
    todo = work()
    fast = torch.bfloat16 if has_bf16(todo.model.device) else torch.float32
    for name, expected in (
        ("trainer-tuned", fast), ("trainer", torch.float32), ("trainer-tuned", fast),
    ):  # fmt: skip
        model = copy.deepcopy(todo.model)
        computed: set[torch.dtype] = set()
        model.lm_head.register_forward_hook(
            lambda *given, computed=computed: computed.add(given[-1].dtype)
        )
        CONTESTANTS[name](todo, model, tmp_path)
        assert computed == {expected}


def test_without_accelerate_it_says_what_to_install(
    small: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    assert main(["bench", "--recipe", small]) == 2
    assert "pip install '.[trainer]'" in capsys.readouterr().err


def test_an_lstm_is_trained_by_ours_alone_with_adamw_and_with_muon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)  # of the Trainer, which has no turn
    gpt2 = RECIPE.partition("[tokens]")
    path = tmp_path / "small-lstm.toml"
    shape = 'kind = "lstm"\nembedding_size = 16\nhidden_size = 24\nnum_layers = 1\ncontext = 64'
    path.write_text(f"[model]\n{shape}\n\n{gpt2[1]}{gpt2[2]}")
    assert main(["bench", "--recipe", str(path), "--texts", "12", "--repeat", "1"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    adamw, muon = told["rows"]
    assert (adamw["trainer"], muon["trainer"]) == ("kataribe", "kataribe-muon")
    assert adamw["loss"] != muon["loss"]
    speeds = adamw["tokens_per_second"] / muon["tokens_per_second"]
    assert told["ratio_muon"] == pytest.approx(speeds, rel=1e-2)


@pytest.mark.parametrize("name", ["article-lstm", "finetune-gpt2"])
def test_a_recipe_of_another_kind_is_one_clear_error(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--recipe", name]) == 2
    assert f"{name}: bench takes a recipe of a model from nothing" in capsys.readouterr().err


def test_a_wrong_number_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--texts", "0"])
    assert ended.value.code == 2
    assert "0 is not a number above zero" in capsys.readouterr().err
