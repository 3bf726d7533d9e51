"""A small model learns from a large one: the teacher, the texts it imagines, and the lessons."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from generator.models.loading import load_model
from tests.training.small import STORIES, TEXTS, TOKENIZER, loop, recipe
from tests.training.test_retokening import llama
from training.__main__ import main
from training.batches import IGNORED, collate, encode
from training.building import build_model
from training.corpus import IMAGINED, Split, read_corpus
from training.diversity import Copies, words_of
from training.errors import InputError
from training.hardware import best_device
from training.imagining import draw
from training.lesson import Lesson, taught_losses
from training.likelihood import token_losses
from training.recipe import Teacher, load_recipe
from training.teacher import load_teacher

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with tokens of its own that has read some stories: it spells in whole characters."""
    model = llama(len(TOKENIZER)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    batch = collate(encode(TEXTS[:16], TOKENIZER, 255))
    for _ in range(40):
        logits = model(input_ids=batch.inputs).logits
        (token_losses(logits, batch.targets).sum() / batch.tokens).backward()
        optimizer.step()
        optimizer.zero_grad()
    folder = tmp_path_factory.mktemp("pretrained")
    model.save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return folder


@pytest.fixture
def base(tmp_path: Path, pretrained: Path) -> Path:
    """A folder of that model, to be used or damaged."""
    folder = tmp_path / "base"
    shutil.copytree(pretrained, folder)
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    assert main(["clean", str(STORIES), "--out", str(path)]) == 0
    return path


def train(tmp_path: Path, name: str, corpus: Path, out: str, *settings: str) -> int:
    return main(
        [
            "train", "--recipe", name, "--corpus", str(corpus), "--out", str(tmp_path / out),
            "--runs", str(tmp_path / "runs"), *(f"--set={setting}" for setting in settings),
        ]
    )  # fmt: skip


def imagine(tmp_path: Path, model: Path, corpus: Path, *options: str, out: str = "wide") -> int:
    return main(
        [
            "imagine", "--model", str(model), "--corpus", str(corpus),
            "--out", str(tmp_path / f"{out}.jsonl"), "--length", "250", "--batch", "32", *options,
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
    assert imagine(tmp_path, teacher, corpus, "--texts", "6") == 0
    wide = tmp_path / "wide.jsonl"
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


def test_imagined_texts_are_new_and_go_on_after_a_stop(
    tmp_path: Path, base: Path, corpus: Path
) -> None:
    given = read_corpus(corpus)
    assert imagine(tmp_path, base, corpus, "--texts", "30", out="whole") == 0
    assert imagine(tmp_path, base, corpus, "--texts", "30", "--seed", "2", out="other") == 0
    texts = read_corpus(tmp_path / "whole.jsonl")
    assert texts[: len(given)] == given
    imagined = texts[len(given) :]
    assert len(imagined) == 30
    assert {(text.domain, text.split) for text in imagined} == {(IMAGINED, Split.TRAIN)}
    known = Copies(text.text for text in given)
    for text in imagined:
        assert known.share(words_of(text.text)) == 0.0
        assert len(text.text.split()) >= 20
    assert imagined != read_corpus(tmp_path / "other.jsonl")[len(given) :]
    lines = (tmp_path / "whole.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    first = _drawn_first(base, corpus)
    assert 0 < first < 30, "one batch is not enough, so there is a place to stop at"
    (tmp_path / "stopped.jsonl").write_text("".join(lines[: len(given) + first]), encoding="utf-8")
    assert imagine(tmp_path, base, corpus, "--texts", "30", out="stopped") == 0
    assert read_corpus(tmp_path / "stopped.jsonl") == texts


def _drawn_first(base: Path, corpus: Path) -> int:
    """How many texts the first batch gives."""
    model, _ = load_teacher(str(base), best_device(), "--model")
    torch.manual_seed(10**9)
    known = Copies(text.text for text in read_corpus(corpus))
    drawn = TOKENIZER.batch_decode(draw(model, TOKENIZER.eos_token_id, 32, 250))
    return sum(
        len(text.split()) >= 20 and "\ufffd" not in text and not known.share(words_of(text))
        for text in drawn
    )


def test_copies_are_left_out(
    tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that knows one text by heart can imagine nothing."""
    text = max((text.text for text in read_corpus(corpus)), key=len)
    row = torch.tensor(encode([text], TOKENIZER, 1000)[0])
    torch.manual_seed(2)
    model: Any = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(TOKENIZER), n_positions=512, n_embd=32, n_layer=1, n_head=2,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
        )
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(150):
        logits = model(input_ids=row[None, :-1].long()).logits[0]
        functional.cross_entropy(logits, row[1:].long()).backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(tmp_path / "parrot")
    TOKENIZER.save_pretrained(tmp_path / "parrot")
    drawn = draw(model.eval(), TOKENIZER.eos_token_id, 4, 500)
    assert TOKENIZER.decode(drawn[0]) == text
    assert imagine(tmp_path, tmp_path / "parrot", corpus, "--texts", "3", "--length", "500") == 2
    assert "none could be kept" in capsys.readouterr().err


def test_texts_are_drawn_by_the_models_own_probabilities() -> None:
    """However rows leave the batch: what was drawn costs what the model expects it to cost."""
    model = llama(len(TOKENIZER), tied=False)
    with torch.no_grad():  # sharp enough that another row's memory would show
        model.lm_head.weight *= 20
        for name, weight in model.named_parameters():
            if "self_attn" in name:
                weight.mul_(20)
    torch.manual_seed(5)
    end = TOKENIZER.eos_token_id
    rows = [np.asarray([end, *row, end]) for row in draw(model, end, 512, 200)]
    batch = collate(rows)
    with torch.inference_mode():
        logits = model(input_ids=batch.inputs).logits
    costs = token_losses(logits, batch.targets)
    entropies = -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1)
    surprises = (costs - entropies)[batch.targets != IGNORED]
    # Texts that did not end are missing, which bends it a little; a wrong memory by half a nat.
    assert abs(float(surprises.mean())) < 0.1


def test_a_file_that_grew_from_another_corpus_is_left_alone(
    tmp_path: Path, base: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = corpus.read_text(encoding="utf-8").splitlines(keepends=True)
    other = tmp_path / "wide.jsonl"
    other.write_text("".join(lines[1:]), encoding="utf-8")
    before = other.read_bytes()
    assert imagine(tmp_path, base, corpus, "--texts", "3") == 2
    assert "did not grow from" in capsys.readouterr().err
    assert other.read_bytes() == before


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


def test_what_a_killed_process_wrote_of_a_line_is_left_out(
    tmp_path: Path, base: Path, corpus: Path
) -> None:
    assert imagine(tmp_path, base, corpus, "--texts", "4") == 0
    whole = (tmp_path / "wide.jsonl").read_bytes()
    (tmp_path / "wide.jsonl").write_bytes(whole[:-5])
    assert imagine(tmp_path, base, corpus, "--texts", "4") == 0
    texts = read_corpus(tmp_path / "wide.jsonl")
    assert [text.domain for text in texts[-4:]] == [IMAGINED] * 4
    assert len(texts) == len(read_corpus(corpus)) + 4


def test_the_corpus_itself_does_not_grow(
    tmp_path: Path, base: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = corpus.read_bytes()
    assert imagine(tmp_path, base, corpus, "--texts", "3", out="corpus") == 2
    assert "choose another --out" in capsys.readouterr().err
    assert corpus.read_bytes() == before


def test_a_batch_that_is_no_longer_wanted_ends() -> None:
    asked = iter([True, True, False])
    assert draw(llama(400), 0, 4, 200, wanted=lambda: next(asked)) == []


def damage(base: Path, how: str) -> None:
    """Makes a teacher's folder one that cannot be used."""
    if how == "tokenizer":
        (base / "tokenizer.json").write_text('{"torn')
    elif how == "weights":
        weights = load_file(base / "model.safetensors")
        lacking = {name: weight for name, weight in weights.items() if "norm" not in name}
        save_file(lacking, base / "model.safetensors", {"format": "pt"})
    elif how == "lstm":
        build_model(recipe("lstm"), TOKENIZER).save_pretrained(base)
    elif how == "end":
        TOKENIZER.from_pretrained(base, eos_token="<|im_end|>").save_pretrained(base)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("tokenizer", "is no model folder, or a damaged one"),
        ("weights", "lack model.layers.0"),
        ("lstm", "is an LSTM; only a transformer teaches"),
        ("end", "has not our way to end a text"),
    ],
)
def test_a_model_that_cannot_teach_is_one_clear_error(
    how: str,
    says: str,
    tmp_path: Path,
    base: Path,
    corpus: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(base, how)
    assert imagine(tmp_path, base, corpus, "--texts", "3") == 2
    error = capsys.readouterr().err
    assert f"--model: {base} " in error or "--model: the weights of" in error
    assert says in error
    assert not (tmp_path / "wide.jsonl").exists()


def test_texts_longer_than_the_model_reads_and_any_seed(
    tmp_path: Path, base: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imagine(tmp_path, base, corpus, "--texts", "1", "--length", "256") == 2
    assert "reads 256 tokens, so 255 at most" in capsys.readouterr().err
    for number, seed in enumerate(("-3", "20000000000000")):
        options = ["--texts", "1", "--seed", seed]
        assert imagine(tmp_path, base, corpus, *options, out=f"seed{number}") == 0


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
    damage(base, "lstm")
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
