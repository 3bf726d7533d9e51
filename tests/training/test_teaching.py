"""A small model learns from a large one: the teacher, the texts it imagines, and the lessons."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from generator.models.loading import load_model
from tests.training.small import TEXTS, TOKENIZER, llama, loop, recipe
from training.__main__ import main
from training.corpus.batches import IGNORED, collate, encode
from training.errors import InputError
from training.learning.building import build_model
from training.likelihood import token_losses
from training.recipe import Teacher, load_recipe
from training.teaching.lesson import Lesson, taught_losses

if TYPE_CHECKING:
    from pathlib import Path


def train(tmp_path: Path, name: str, corpus: Path, out: str, *settings: str) -> int:
    return main(
        [
            "train", "--recipe", name, "--corpus", str(corpus), "--out", str(tmp_path / out),
            "--runs", str(tmp_path / "runs"), *(f"--set={setting}" for setting in settings),
        ]
    )  # fmt: skip


STUDENTS = {
    "gpt2": ["model.embedding_size=32", "model.num_layers=1", "model.num_heads=2"],
    "lstm": ["model.embedding_size=24", "model.hidden_size=32", "model.num_layers=1"],
}


def test_a_teacher_a_wider_corpus_and_two_students(
    tmp_path: Path, base: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [f"model.name='{base}'", "model.context=200", "training.epochs=1"]
    assert train(tmp_path, "teacher", corpus, "teacher", *given, "tokens.vocab_size=420") == 0
    assert "test: " in capsys.readouterr().out
    teacher = tmp_path / "teacher"
    assert {path.name for path in teacher.iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json", "training.png",
    }  # fmt: skip
    tokens = PreTrainedTokenizerFast.from_pretrained(teacher).get_vocab()
    assert len(tokens) == 420
    wide = tmp_path / "wide.jsonl"
    given = ["--corpus", str(corpus), "--out", str(wide), "--texts", "6", "--batch", "32"]
    assert main(["imagine", "--model", str(teacher), *given, "--length", "250"]) == 0
    for kind, shape in STUDENTS.items():
        settings = [
            f"teacher.name='{teacher}'", *shape, "model.context=200", "training.epochs=2",
            "training.batch_tokens=512", "sampling.max_new_tokens=20",
        ]  # fmt: skip
        assert train(tmp_path, f"student-{kind}", wide, kind, *settings) == 0
        student = load_model(tmp_path / kind)
        assert student.tokenizer.get_vocab() == tokens
        card = (tmp_path / kind / "README.md").read_text(encoding="utf-8")
        assert f"trained from random weights and the lessons of {teacher} by" in card
        assert "\n| imagined | 6 | 0 | 0 |" in card
        assert "The texts of `imagined` are a model's own" in card
        assert "tokens.vocab_size" not in card


def test_a_taught_student_comes_nearer_to_its_teacher(tmp_path: Path, base: Path) -> None:
    chosen = recipe("gpt2", epochs=6, learning_rate=1e-2)
    taught = loop(tmp_path, chosen)
    lesson = Lesson(Teacher(name=str(base)), taught._model, 128)
    taught._lesson = lesson
    batch = collate(encode(TEXTS[40:60], TOKENIZER, 128))

    @torch.inference_mode()
    def nats() -> float:
        taught._model.eval()
        logits = taught._model(input_ids=batch.inputs).logits
        return float(lesson.losses(logits, batch.inputs, batch.targets).sum()) / batch.tokens

    @torch.inference_mode()
    def least() -> float:
        """What the teacher itself costs: its entropy."""
        logits = lesson._model(input_ids=batch.inputs).logits
        return float(lesson.losses(logits, batch.inputs, batch.targets).sum()) / batch.tokens

    before = nats()
    taught.run()
    assert least() < nats() < before
    assert nats() - least() < 0.5 * (before - least())


def test_what_a_lesson_costs() -> None:
    torch.manual_seed(1)
    logits = torch.randn(2, 3, 5, requires_grad=True)
    teacher = torch.randn(2, 3, 5)
    targets = torch.tensor([[1, 2, IGNORED], [0, IGNORED, IGNORED]])
    found = taught_losses(logits, teacher, targets)
    expected = -(teacher.softmax(-1) * logits.log_softmax(-1)).sum(-1)
    expected[targets == IGNORED] = 0.0
    torch.testing.assert_close(found, expected)
    taught_losses(logits, logits.detach(), targets).sum().backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-6, "nothing to learn from one's equal"


def test_a_share_of_the_loss_is_the_texts_own(tmp_path: Path, base: Path) -> None:
    student = loop(tmp_path, recipe("gpt2"))._model
    batch = collate(encode(TEXTS[:2], TOKENIZER, 128))
    logits = torch.randn(*batch.inputs.shape, len(TOKENIZER))
    whole, most = (
        Lesson(Teacher(name=str(base), share=share), student, 128).losses(
            logits, batch.inputs, batch.targets
        )
        for share in (1.0, 0.75)
    )
    own = token_losses(logits, batch.targets)
    torch.testing.assert_close(most, 0.75 * whole + 0.25 * own)


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("student-gpt2", "tokens.kind='bpe'", "a student has its teacher's tokens"),
        ("starter-gpt2", "tokens.kind='pretrained'", "for a pretrained model or a teacher"),
        ("teacher", "tokens.kind='words'", "has its own tokens, or bpe"),
        ("teacher", "model.lora_rank=4", "no lora_rank"),
        ("teacher", "tokens.kind='pretrained'", "learns our tokens"),
        (
            "student-lstm",
            "training.window=30 training.batch_rows=4 training.batch_tokens=0",
            "knows nothing of the window",
        ),
        ("student-gpt2", "teacher.share=0", "greater than 0"),
    ],
)
def test_recipes_that_cannot_be(name: str, settings: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        load_recipe(name, settings.split())


def test_a_student_does_not_go_on_under_another_teacher(
    tmp_path: Path, base: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [
        f"teacher.name='{base}'", *STUDENTS["gpt2"], "model.context=200", "training.epochs=1",
        "training.batch_tokens=2048", "sampling.max_new_tokens=10",
    ]  # fmt: skip
    assert train(tmp_path, "student-gpt2", corpus, "student", *settings) == 0
    assert train(tmp_path, "student-gpt2", corpus, "student", *settings) == 0
    model = llama(len(TOKENIZER))
    with torch.no_grad():
        model.lm_head.weight.mul_(2)
    model.save_pretrained(base)
    assert train(tmp_path, "student-gpt2", corpus, "student", *settings) == 2
    assert "or of another teacher" in capsys.readouterr().err


def test_our_lstm_keeps_its_tokens(
    tmp_path: Path, base: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_model(recipe("lstm"), TOKENIZER).save_pretrained(base)
    given = [f"model.name='{base}'", "model.context=128", "tokens.kind='bpe'"]
    assert train(tmp_path, "further-lstm", corpus, "lstm", *given) == 2
    assert "our LSTM keeps its tokens" in capsys.readouterr().err


def test_a_teacher_of_other_tokens_or_none_is_named(
    tmp_path: Path, base: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shape = [*STUDENTS["gpt2"], "model.context=300"]
    assert train(tmp_path, "student-gpt2", corpus, "a", "teacher.name='/nowhere'", *shape) == 2
    assert "teacher.name: /nowhere is no model folder" in capsys.readouterr().err
    assert train(tmp_path, "student-gpt2", corpus, "b", f"teacher.name='{base}'", *shape) == 2
    assert "the teacher reads 256 tokens at most" in capsys.readouterr().err
    config = json.loads((base / "config.json").read_text())
    assert config["model_type"] == "llama"
    assert train(tmp_path, "finetune-gpt2", corpus, "c", f"model.name='{base}'") == 2
    assert "model.teaches=true" in capsys.readouterr().err


def test_a_student_that_goes_on_must_have_its_teachers_tokens(
    tmp_path: Path, base: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = recipe("gpt2").model_dump(mode="json", exclude={"name", "model", "tokens", "teacher"})
    values["model"] = {"kind": "pretrained", "name": "models/gpt2-starter", "context": 200}
    values["tokens"] = {"kind": "pretrained"}
    values["teacher"] = {"name": str(base)}
    path = tmp_path / "on.toml"
    path.write_text("".join(map(_section, values, values.values())), encoding="utf-8")
    assert train(tmp_path, str(path), corpus, "on") == 2
    assert "teacher.name: it has other tokens than the model" in capsys.readouterr().err


def _section(name: str, values: dict[str, Any]) -> str:
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in values.items()]
    return f"[{name}]\n" + "".join(lines)
