"""The loop: learns, keeps the best, and goes on after an interruption as if there had been none."""

from __future__ import annotations

import csv
import os
import signal
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

import pytest
import torch

from tests.training.small import TOKENIZER, TRAIN, VALIDATION, loop, recipe
from training.errors import InputError
from training.interruption import Interrupted
from training.likelihood import likelihood

if TYPE_CHECKING:
    from pathlib import Path

    from training.learning.loop import Loop


def signal_at_step(running: Loop, step: int, number: signal.Signals) -> None:
    """The process is told to stop while it computes that step."""

    def tell(*_: Any) -> None:
        if running.course.step == step:
            os.kill(os.getpid(), number)

    running._model.register_forward_hook(tell)


def course_of(running: Loop) -> list[dict[str, Any]]:
    """The log without wall time."""
    lines = [asdict(line) for line in running.course.measurements]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


@pytest.mark.parametrize("kind", ["gpt2", "lstm"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_training_ends_like_an_uninterrupted_one(
    tmp_path: Path, kind: Literal["gpt2", "lstm"], number: signal.Signals
) -> None:
    chosen = recipe(kind, target_last=0.4)
    whole_folder, broken_folder = tmp_path / "whole", tmp_path / "broken"
    whole_folder.mkdir()
    broken_folder.mkdir()
    whole = loop(whole_folder, chosen)
    whole.run()
    for step in (1, 4, 10):
        stopped = loop(broken_folder, chosen)
        signal_at_step(stopped, step, number)
        with pytest.raises(Interrupted) as interrupted:
            stopped.run()
        assert interrupted.value.signal_number == number
        assert stopped.course.step == step + 1
    resumed = loop(broken_folder, chosen)
    resumed.run()
    assert course_of(resumed) == course_of(whole)
    for name, weight in whole._model.state_dict().items():
        assert torch.equal(resumed._model.state_dict()[name], weight), name


def test_signals_mean_again_what_they_meant_before(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    loop(tmp_path, recipe("gpt2", epochs=0.2)).run()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("kind", ["gpt2", "lstm"])
def test_it_learns_a_tiny_corpus_by_heart(
    tmp_path: Path, kind: Literal["gpt2", "lstm"], optimizer: str
) -> None:
    chosen = recipe(kind, epochs=200, optimizer=optimizer, learning_rate=2e-2, validate_every=1000)
    running = loop(tmp_path, chosen, TRAIN[:4])
    before = likelihood(running._model, TOKENIZER, TRAIN[:4]).bits_per_byte
    running.run()
    after = likelihood(running._model, TOKENIZER, TRAIN[:4]).bits_per_byte
    assert after < 0.4 * before


def test_the_weights_in_the_end_are_those_that_were_best_on_validation(tmp_path: Path) -> None:
    running = loop(tmp_path, recipe("gpt2", epochs=40, learning_rate=2e-2), TRAIN[:3])
    running.run()
    measured = [line.bits_per_byte for line in running.course.measurements]
    assert min(measured) < measured[-1], "it should overfit three stories"
    best = likelihood(running._model, TOKENIZER, VALIDATION).bits_per_byte
    assert best == pytest.approx(min(measured), abs=1e-6)


def test_it_stops_early_where_validation_no_longer_improves(tmp_path: Path) -> None:
    running = loop(tmp_path, recipe("gpt2", epochs=400, learning_rate=2e-2, patience=3), TRAIN[:3])
    running.run()
    assert running.progress < 1
    assert running.course.since_best == 3


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    chosen = recipe("gpt2")
    first = loop(tmp_path, chosen)
    first.run()
    again = loop(tmp_path, chosen)
    again.run()
    assert again.course == first.course


def test_wall_time_can_shape_the_schedule(tmp_path: Path) -> None:
    running = loop(tmp_path, recipe("gpt2", minutes=0.01, epochs=10_000))
    running.run()
    assert running.over
    assert running.course.tokens < running._planned
    assert running.course.measurements[-1].step == running.course.step


@pytest.mark.parametrize(("step_seconds", "over"), [(3.0, False), (5.0, True)])
def test_a_step_that_would_end_further_behind_the_minutes_than_before_them_is_not_begun(
    tmp_path: Path, step_seconds: float, *, over: bool
) -> None:
    running = loop(tmp_path, recipe("gpt2", minutes=1))
    running.course.step, running.course.seconds = 20, 58.0
    running._step_seconds = step_seconds
    assert running.over is over


def test_the_last_part_reads_the_target_alone(tmp_path: Path) -> None:
    running = loop(tmp_path, recipe("gpt2", target_last=0.5))
    running.run()
    target = sum(len(row) - 1 for row in running._target_rows)
    assert running.course.annealing
    assert running.course.position.epoch >= running.course.tokens / 2 // target - 1


def test_the_log_has_a_line_for_each_measurement(tmp_path: Path) -> None:
    running = loop(tmp_path, recipe("gpt2"))
    running.run()
    with (tmp_path / "log.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["bits_per_byte"]) for line in lines] == [
        line.bits_per_byte for line in running.course.measurements
    ]


def test_a_loss_beyond_all_numbers_is_one_clear_error(tmp_path: Path) -> None:
    running = loop(tmp_path, recipe("lstm"))
    running._model.get_output_embeddings().weight.data.fill_(float("inf"))
    with pytest.raises(InputError, match="at step 0: lower the learning rates"):
        running.run()
