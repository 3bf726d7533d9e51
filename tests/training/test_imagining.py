"""`python -m training imagine`: what a model invents, and what is kept of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel

from tests.training.small import TOKENIZER, llama, recipe
from training.__main__ import main
from training.corpus.batches import IGNORED, collate, encode
from training.corpus.copies import Copies, words_of
from training.corpus.texts import IMAGINED, Split, read_corpus
from training.hardware import best_device
from training.learning.building import build_model
from training.likelihood import token_losses
from training.teaching.imagining import draw
from training.teaching.teacher import load_teacher

if TYPE_CHECKING:
    from pathlib import Path


def imagine(tmp_path: Path, model: Path, corpus: Path, *options: str, out: str = "wide") -> int:
    return main(
        [
            "imagine", "--model", str(model), "--corpus", str(corpus),
            "--out", str(tmp_path / f"{out}.jsonl"), "--length", "250", "--batch", "32", *options,
        ]
    )  # fmt: skip


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
