from __future__ import annotations

import argparse
import gc
import importlib.util
import json
from typing import TYPE_CHECKING

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from generator.bench import add_bench_command
from generator.bench.work import some_prompts, step_weights
from generator.models.lstm import LSTMConfig, LSTMForCausalLM
from tests.generator.small_folders import save_gpt2, save_llama, save_lstm

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module", autouse=True)
def _rounds_begin_quickly() -> None:
    """Each collects garbage first; what the tests before this file have left is looked at once."""
    gc.collect()
    gc.freeze()


def bench(*words: str) -> int:
    parser = argparse.ArgumentParser()
    add_bench_command(parser.add_subparsers())
    options = parser.parse_args(["bench", *words])
    status: int = options.run(options)
    return status


def test_a_table_for_people_and_one_json_object_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_gpt2(tmp_path / "small")
    words = f"--model {folder} --against transformers --concurrency 1,3 --tokens 5 --repeat 2"
    assert bench(*words.split(), "--arriving", "1") == 0
    *table, last = capsys.readouterr().out.splitlines()
    told = json.loads(last)
    assert told["bound_tokens_per_second"] > 0
    assert [(row["engine"], row["concurrency"]) for row in told["rows"]] == [
        ("kataribe", 1),
        ("transformers", 1),
        ("kataribe", 3),
        ("transformers", 3),
    ]
    for row in told["rows"]:
        low, high = row["tokens_per_second_low"], row["tokens_per_second_high"]
        assert 0 < low <= row["tokens_per_second"] <= high
        assert row["ttft_ms"] > 0
    assert sum(line.startswith("transformers ") for line in table) == 2
    assert told["missing"] == {}
    assert told["arriving"]["stories"] == 3
    assert told["arriving"]["seconds"] > 0.6  # the last of three comes after two thirds


def test_a_llama_takes_turns_with_transformers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_llama(tmp_path / "small")
    words = (
        "--against transformers,forward --precision float32 --concurrency 2 --tokens 4 --repeat 1"
    )
    assert bench("--model", str(folder), *words.split()) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["engine"] for row in told["rows"]] == ["kataribe", "transformers"]
    assert "for an LSTM" in told["missing"]["forward"]


def test_readers_over_http_take_turns_with_the_engine_beside_neighbours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_lstm(tmp_path / "small")
    words = f"--model {folder} --http --neighbours 1 --concurrency 2 --tokens 4 --repeat 1"
    assert bench(*words.split()) == 0
    *table, last = capsys.readouterr().out.splitlines()
    told = json.loads(last)
    assert [row["engine"] for row in told["rows"]] == ["kataribe", "over http"]
    assert all(row["ttft_ms"] > 0 for row in told["rows"])
    assert told["neighbours"] == 1
    assert any("1 spinning beside" in line for line in table)


def test_an_lstm_takes_turns_with_its_own_forward(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_lstm(tmp_path / "small")
    words = f"--model {folder} --against forward,transformers --concurrency 2 --tokens 4 --repeat 1"
    assert bench(*words.split(), "--greedy") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["engine"] for row in told["rows"]] == ["kataribe", "forward"]
    assert "no LSTM" in told["missing"]["transformers"]


@pytest.mark.skipif(
    importlib.util.find_spec("llama_cpp") is not None, reason="llama.cpp is installed here"
)
def test_a_peer_that_is_not_installed_is_said_to_be_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_gpt2(tmp_path / "small")
    words = f"--model {folder} --against llama.cpp --concurrency 1 --tokens 2 --repeat 1"
    assert bench(*words.split()) == 0
    *table, last = capsys.readouterr().out.splitlines()
    assert "llama.cpp is missing: not installed" in table[-1]
    assert [row["engine"] for row in json.loads(last)["rows"]] == ["kataribe"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--against vllm", "vllm is none of transformers"),
        ("--concurrency 1,none", "none is not a number above zero"),
        ("--tokens 0", "0 is not a number above zero"),
    ],
)
def test_a_wrong_option_is_named(
    words: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        bench(*words.split())
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_more_tokens_than_the_model_reads_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_gpt2(tmp_path / "small")
    assert bench("--model", str(folder), "--prompt", "100", "--tokens", "29") == 2
    assert "small reads 128 tokens at most" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("--model", str(tmp_path / "nowhere")) == 2
    assert "there is no model folder" in capsys.readouterr().err


def test_the_weights_of_a_step_are_its_matrices() -> None:
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_positions=30, n_embd=8, n_layer=2, n_head=1))
    assert step_weights(gpt2) == 50 * 8 + 2 * (3 + 1 + 4 + 4) * 8 * 8
    lstm = LSTMForCausalLM(LSTMConfig(vocab_size=50, embedding_size=8, hidden_size=8, num_layers=2))
    assert step_weights(lstm) == 50 * 8 + 2 * 2 * 4 * 8 * 8
    untied = LSTMForCausalLM(
        LSTMConfig(
            vocab_size=50, embedding_size=6, hidden_size=8, num_layers=1, tie_word_embeddings=False
        )
    )
    assert step_weights(untied) == 50 * 8 + 4 * 8 * (6 + 8)


def test_prompts_are_the_same_in_every_run() -> None:
    assert some_prompts(3, 4, 100) == some_prompts(5, 4, 100)[:3]
    assert torch.tensor(some_prompts(3, 4, 100)).shape == (3, 4)
