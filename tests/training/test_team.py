"""Several processes train as one would with as many batches a step: real ones, over gloo."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.small import loop, recipe
from training.__main__ import main
from training.errors import InputError
from training.learning.team import Team, team

ROOT = Path(__file__).parents[2]
SMALL = [
    "model.embedding_size=32", "model.num_heads=2", "model.num_layers=1", "model.context=128",
    "model.dropout=0",
    "tokens.vocab_size=400", "training.batch_tokens=512", "training.epochs=3",
    "training.validate_every=4", "training.bf16=false", "sampling.max_new_tokens=10",
]  # fmt: skip
LAUNCH = [
    sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
    "-m", "training",
]  # fmt: skip
FORKED = """
import sys
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
import training.learning.train
from training.__main__ import main

config = LaunchConfig(
    min_nodes=1, max_nodes=1, nproc_per_node=2, start_method="fork",
    rdzv_backend="c10d", rdzv_endpoint="localhost:0",
)
elastic_launch(config, lambda given: sys.exit(main(given)))(sys.argv[1:])
"""
"""The launcher that torchrun is, but what takes six seconds to import is imported once for all."""


def arguments(corpus: Path, name: str, *settings: str) -> list[str]:
    folder = corpus.parent
    return [
        "train", "--recipe", "starter-gpt2", "--corpus", str(corpus),
        "--out", str(folder / name), "--runs", str(folder / "runs"),
        *(f"--set={setting}" for setting in [*SMALL, *settings]),
    ]  # fmt: skip


def launch(launcher: list[str], given: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*launcher, *given],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "USE_LIBUV": "0"},
        stderr=subprocess.PIPE,
        text=True,
    )


def losses(corpus: Path, name: str) -> list[tuple[int, int, float]]:
    with (corpus.parent / "runs" / name / "log.csv").open(encoding="utf-8") as file:
        return [
            (int(line["step"]), int(line["tokens"]), float(line["train_loss"]))
            for line in csv.DictReader(file)
        ]


def test_two_processes_are_one_with_twice_the_batches_a_step(corpus: Path) -> None:
    assert main(arguments(corpus, "alone", "training.accumulate=2")) == 0
    both = launch(LAUNCH, arguments(corpus, "together"))
    _, said = both.communicate(timeout=100)
    assert both.returncode == 0, said
    alone, together = losses(corpus, "alone"), losses(corpus, "together")
    assert [line[:2] for line in together] == [line[:2] for line in alone]
    assert [line[2] for line in together] == pytest.approx([line[2] for line in alone], rel=1e-3)
    weights = [
        load_file(corpus.parent / name / "model.safetensors") for name in ("alone", "together")
    ]
    for name, weight in weights[0].items():
        assert (weights[1][name] - weight).float().abs().max() < 0.02, name


def steps_until_stopped(given: list[str], folder: Path) -> int:
    """Starts a team, tells it to stop once it trains, and returns the steps that it has saved."""
    both = launch([sys.executable, "-c", FORKED], given)
    assert both.stderr is not None
    assert any("loss" in line for line in both.stderr)  # reads as far as the progress bar
    both.send_signal(signal.SIGTERM)
    both.communicate(timeout=60)
    assert both.returncode != 0
    assert not (folder / "checkpoint.new").exists()
    saved = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert len(saved["dice"]) == 2
    return int(saved["course"]["step"])


def test_a_team_that_is_told_to_stop_saves_and_goes_on(corpus: Path) -> None:
    given = arguments(corpus, "stopped", "training.epochs=100000", "model.dropout=0.1")
    folder = corpus.parent / "runs" / "stopped"
    first = steps_until_stopped(given, folder)
    assert first > 0
    assert steps_until_stopped(given, folder) > first


def test_alone_nothing_is_sent() -> None:
    with team() as alone:
        assert (alone.rank, alone.size, alone.leads) == (0, 1, True)
        assert alone.share([1, 2, 3]) == [1, 2, 3]
        assert alone.of_leader("word") == "word"
        assert alone.of_all("word") == ["word"]
        assert alone.table([1.0, 2.0]).tolist() == [[1.0, 2.0]]


def test_one_stream_is_not_shared(tmp_path: Path) -> None:
    chosen = recipe("lstm", batch_tokens=0, batch_rows=2, window=10)
    with pytest.raises(InputError, match="several processes cannot share it"):
        loop(tmp_path, chosen, team=Team(rank=1, size=2))
