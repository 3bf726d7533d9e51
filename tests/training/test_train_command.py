"""`python -m training train`, from a corpus to a folder that the generator loads."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from generator.models.loading import load_model
from tests.training.small import STORIES
from training.__main__ import main
from training.corpus.texts import Split, read_corpus, write_corpus
from training.telling import ARTICLE_PROMPTS

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = {
    "starter-gpt2": ["model.embedding_size=32", "model.num_layers=1", "model.num_heads=2"],
    "starter-lstm": ["model.embedding_size=24", "model.hidden_size=32", "model.num_layers=1"],
    "word-lstm": ["model.embedding_size=24", "model.hidden_size=32", "model.num_layers=1"],
}
QUICK = ["tokens.vocab_size=400", "training.epochs=2", "sampling.max_new_tokens=40"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "corpus.jsonl"
    assert main(["clean", str(STORIES), "--out", str(path)]) == 0
    return path


def command(recipe: str, corpus: Path, folder: Path, *settings: str) -> list[str]:
    given = [f"--set={setting}" for setting in (*SMALL[recipe], *QUICK, *settings)]
    return [
        "train", "--recipe", recipe, "--corpus", str(corpus), "--out", str(folder / "small"),
        "--runs", str(folder / "runs"), *given,
    ]  # fmt: skip


def test_a_word_model_pays_for_unknown_words_in_training_as_in_evaluation(
    tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command("word-lstm", corpus, tmp_path)) == 0
    printed = re.search(r"validation: (\S+) bits", capsys.readouterr().out)
    given = ["--model", str(tmp_path / "small"), "--corpus", str(corpus), "--stories", "2"]
    assert main(["evaluate", *given, "--split", "validation", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out.splitlines()[-1])["bits_per_byte"]
    assert printed is not None
    assert float(printed[1]) == pytest.approx(measured, abs=1e-3)
    with (tmp_path / "runs" / "small" / "log.csv").open(encoding="utf-8") as log:
        best = min(float(line["bits_per_byte"]) for line in csv.DictReader(log))
    assert best == pytest.approx(measured, rel=0.02)  # it may be measured in bfloat16


@pytest.mark.parametrize("recipe", ["starter-gpt2", "starter-lstm"])
def test_a_model_folder_comes_out(tmp_path: Path, corpus: Path, recipe: str) -> None:
    mask = os.umask(0o027)
    os.umask(mask)
    assert main(command(recipe, corpus, tmp_path)) == 0
    folder = tmp_path / "small"
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "config.json", "generation_config.json", "memfree.safetensors",
        "model.safetensors", "tokenizer.json", "tokenizer_config.json", "training.png",
    }  # fmt: skip
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float16"
    assert AutoModelForCausalLM.from_pretrained(folder).config.vocab_size == 400
    assert AutoTokenizer.from_pretrained(folder).eos_token == "<|endoftext|>"
    settings = GenerationConfig.from_pretrained(folder)
    assert (settings.top_p, settings.max_new_tokens) == (0.95, 40)
    assert load_model(folder).ends == (0,)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o666 & ~mask}


def test_the_card_says_what_was_done_and_shows_every_story(tmp_path: Path, corpus: Path) -> None:
    assert main(command("starter-gpt2", corpus, tmp_path, "training.seed=77")) == 0
    card = (tmp_path / "small" / "README.md").read_text(encoding="utf-8")
    assert "| training.seed | 77 |" in card
    assert f"| stories | {sum(text.split == 'train' for text in read_corpus(corpus))} |" in card
    assert "A GPT-2 of" in card
    for number, prompt in enumerate(ARTICLE_PROMPTS, 1):
        assert f"\n{number}. {prompt}" in card


def test_a_word_model_is_trained_told_and_measured(
    tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command("word-lstm", corpus, tmp_path)) == 0
    folder = str(tmp_path / "small")
    assert AutoTokenizer.from_pretrained(folder).unk_token == "<unk>"
    measure = ["evaluate", "--model", folder, "--corpus", str(corpus), "--split", "validation"]
    assert main([*measure, "--stories", "2", "--json"]) == 0
    bits = json.loads(capsys.readouterr().out.splitlines()[-1])["bits_per_byte"]
    assert 0 < bits < 8


@pytest.fixture
def training(tmp_path: Path, corpus: Path) -> Iterator[subprocess.Popen[str]]:
    """A long training in a process of its own."""
    arguments = command("starter-gpt2", corpus, tmp_path, "training.epochs=100000")
    process = subprocess.Popen(
        [sys.executable, "-m", "training", *arguments],
        stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        env={"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    with process:
        yield process
        process.kill()


def wait_for_a_step(training: subprocess.Popen[str]) -> None:
    """Read what it shows as far as the bar's first loss, and not a character further."""
    assert training.stderr is not None
    seen = ""
    while "loss" not in seen:
        seen += training.stderr.read(1)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 128 + 15), (signal.SIGINT, 128 + 2)]
)
def test_a_signal_saves_and_leaves_no_half_made_folder(
    tmp_path: Path, training: subprocess.Popen[str], number: signal.Signals, status: int
) -> None:
    assert training.stderr is not None
    wait_for_a_step(training)
    training.send_signal(number)
    rest = training.stderr.read()
    assert training.wait() == status
    assert rest.endswith("Stopped and saved. The same command goes on from here.\n")
    assert (tmp_path / "runs" / "small" / "checkpoint.pt").is_file()
    assert not (tmp_path / "small").exists()


def test_a_checkpoint_of_other_settings_is_not_gone_on_with(
    tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command("starter-gpt2", corpus, tmp_path)) == 0
    assert main(command("starter-gpt2", corpus, tmp_path, "sampling.temperature=0.5")) == 0
    assert main(command("starter-gpt2", corpus, tmp_path, "training.seed=1")) == 2
    assert "holds the checkpoint of another training" in capsys.readouterr().err


def test_a_checkpoint_of_other_texts_is_not_gone_on_with(
    tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command("starter-gpt2", corpus, tmp_path)) == 0
    fewer = tmp_path / "fewer.jsonl"
    fewer.write_text("".join(corpus.read_text(encoding="utf-8").splitlines(keepends=True)[1:]))
    assert main(command("starter-gpt2", fewer, tmp_path)) == 2
    assert "by other settings, texts or code" in capsys.readouterr().err


def test_tokens_learned_by_a_run_without_a_checkpoint_are_learned_anew(
    tmp_path: Path, corpus: Path
) -> None:
    assert main(command("starter-gpt2", corpus, tmp_path, "tokens.vocab_size=300")) == 0
    (tmp_path / "runs" / "small" / "checkpoint.pt").unlink()
    assert main(command("starter-gpt2", corpus, tmp_path)) == 0
    assert len(AutoTokenizer.from_pretrained(tmp_path / "small")) == 400


def test_two_processes_do_not_train_in_one_folder(
    tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "runs" / "small" / "lock"
    lock.parent.mkdir(parents=True)
    holder = (
        "import fcntl, sys; lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX); "
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(lock)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert main(command("starter-gpt2", corpus, tmp_path)) == 2
        other.communicate()
    assert "another process trains here" in capsys.readouterr().err


def test_an_epoch_reads_every_training_text_once_and_no_other(tmp_path: Path, corpus: Path) -> None:
    settings = ["training.epochs=1", "training.target_last=0"]
    assert main(command("starter-gpt2", corpus, tmp_path, *settings)) == 0
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "small")
    texts = [text.text for text in read_corpus(corpus) if text.split is Split.TRAIN]
    with (tmp_path / "runs" / "small" / "log.csv").open(encoding="utf-8") as log:
        read = int(list(csv.DictReader(log))[-1]["tokens"])
    assert read == sum(len(tokenizer(text).input_ids) for text in texts)  # the end is read as well


def test_a_folder_that_is_trained_again_keeps_what_is_not_the_models(
    tmp_path: Path, corpus: Path
) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "notes.txt").write_text("mine")
    assert main(command("starter-gpt2", corpus, tmp_path)) == 0
    assert (tmp_path / "small" / "notes.txt").read_text() == "mine"
    assert load_model(tmp_path / "small").name == "small"
    assert {path.name for path in tmp_path.iterdir()} == {"small", "runs"}


def test_a_corpus_without_target_texts_to_end_with_is_one_clear_error(
    tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [
        replace(text, domain="wider") if text.split is Split.TRAIN else text
        for text in sorted(read_corpus(corpus), key=lambda text: text.split is Split.TRAIN)
    ]
    write_corpus(texts, tmp_path / "wider.jsonl")
    assert main(command("starter-gpt2", tmp_path / "wider.jsonl", tmp_path)) == 2
    assert "lacks target texts to end with" in capsys.readouterr().err


def test_the_finished_command_again_only_writes_the_folder_again(
    tmp_path: Path, corpus: Path
) -> None:
    arguments = command("starter-lstm", corpus, tmp_path)
    assert main(arguments) == 0
    weights = (tmp_path / "small" / "model.safetensors").read_bytes()
    assert main(arguments) == 0
    assert (tmp_path / "small" / "model.safetensors").read_bytes() == weights


def test_no_corpus_is_one_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command("starter-gpt2", tmp_path / "none.jsonl", tmp_path)) == 2
    assert "Make it with `python -m training clean`." in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["clean", "--help"], ["train", "--help"]])
def test_help_is_given(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    assert "python -m training" in capsys.readouterr().out
