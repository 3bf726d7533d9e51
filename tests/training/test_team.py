"""Several processes train as one would with as many batches a step: real ones, over gloo."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import pytest
import torch
from safetensors.torch import load_file

from tests.network import OWN, refusal
from tests.training.small import TOKENIZER, TRAIN, loop, recipe
from training.__main__ import main
from training.corpus.batches import IGNORED, Position, encode
from training.errors import InputError, TeamLostError
from training.learning.checkpoint import Checkpoint
from training.learning.loop import Loop
from training.learning.team import Team, team

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor, nn

    from training.corpus.batches import Batch

T = TypeVar("T")

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
FORKED = [sys.executable, "-m", "tests.training.forked"]


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
        start_new_session=True,
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


def saved(folder: Path) -> dict[str, Any]:
    """The checkpoint."""
    assert not (folder / "checkpoint.new").exists()
    checkpoint: dict[str, Any] = torch.load(folder / "checkpoint.pt", weights_only=True)
    return checkpoint


def workers_that_train(said: IO[str]) -> dict[int, int]:
    """Reads as far as the progress bar; gives the processes' ids by rank."""
    workers: dict[int, int] = {}
    for line in said:
        # A bar may stand before it in the line.
        if found := re.search(r"worker (\d+) (\d+)", line):
            workers[int(found[1])] = int(found[2])
        if "loss" in line:  # they have met, so both have said who they are
            break
    assert workers.keys() == {0, 1}
    return workers


def test_a_team_that_is_told_to_stop_or_loses_a_process_saves_and_goes_on(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = arguments(corpus, "stopped", "training.epochs=100000", "model.dropout=0.1")
    folder = corpus.parent / "runs" / "stopped"
    reason = refusal()
    machines = [*FORKED, "one-machine"] if reason else [*OWN, *FORKED, "two-machines"]

    both = launch([*FORKED, "one-machine"], given)
    assert both.stderr is not None
    workers_that_train(both.stderr)
    both.send_signal(signal.SIGTERM)
    both.communicate(timeout=60)
    assert both.returncode != 0
    assert len(saved(folder)["dice"]) == 2
    stopped = saved(folder)["course"]["step"]
    assert stopped > 0

    both = launch(machines, given)
    assert both.stderr is not None
    os.kill(workers_that_train(both.stderr)[1], signal.SIGKILL)
    said = next(line for line in both.stderr if "Another process" in line)
    # The launchers have waited for the survivor; how long they wait for each other is torch's.
    os.killpg(both.pid, signal.SIGKILL)
    both.communicate()
    died = saved(folder)["course"]["step"]
    assert died > stopped
    assert str(TeamLostError(died)) in said
    assert len(saved(folder)["dice"]) == 1

    # Fewer go on: this test's own process is one.
    step = Loop._step

    def stopping(loop: Loop, batches: Sequence[Batch]) -> float:
        signal.raise_signal(signal.SIGTERM)
        return step(loop, batches)

    monkeypatch.setattr(Loop, "_step", stopping)
    assert main(given) == 128 + signal.SIGTERM
    assert saved(folder)["course"]["step"] == died + 1
    if reason:
        pytest.skip(f"The processes were all on one machine. {reason}")


class Alike(Team):
    """One of several whose others do what it does, and at last are no more."""

    def __init__(self, rank: int, lost_at: int = 0) -> None:
        """`lost_at`: the step in which they are lost; 0: never."""
        super().__init__(rank, 2, torch.device("cpu"))
        self._left = lost_at

    def table(self, numbers: Sequence[float]) -> Tensor:
        return torch.tensor([numbers, numbers], dtype=torch.float64)

    def sum_gradients(self, _: Iterable[nn.Parameter]) -> None:
        self._left -= 1
        if not self._left:
            raise TeamLostError

    def of_leader(self, value: T) -> T:
        return value

    def of_all(self, value: T) -> list[T]:
        return [value, value]


def test_every_text_is_read_by_one_process_and_by_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[int]] = []
    reads = Loop._read

    def noted(loop: Loop, batch: Batch) -> Tensor:
        read.extend(row[row != IGNORED].tolist() for row in batch.targets)
        return reads(loop, batch)

    monkeypatch.setattr(Loop, "_read", noted)
    shares: list[list[list[int]]] = []
    for rank in range(2):
        folder = tmp_path / str(rank)
        folder.mkdir()
        # Only a leader writes what is loaded in the end.
        monkeypatch.setattr(Checkpoint, "load_best", lambda *_: None)
        loop(folder, recipe("gpt2", epochs=1), team=Alike(rank)).run()
        shares.append(read.copy())
        read.clear()
    texts = [row[1:].tolist() for row in encode(TRAIN, TOKENIZER, 128)]
    assert all(shares)
    assert sorted(shares[0] + shares[1]) == sorted(texts)


def test_what_a_lost_process_was_to_read_is_read_by_those_who_go_on(tmp_path: Path) -> None:
    chosen = recipe("gpt2")
    with pytest.raises(TeamLostError, match="step 2, which is saved"):
        loop(tmp_path, chosen, team=Alike(0, lost_at=3)).run()
    course = loop(tmp_path, chosen).course
    assert (course.step, course.position) == (2, Position(batch=2 * 2))


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
