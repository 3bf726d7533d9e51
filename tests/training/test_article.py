"""The article's way of training, and what each of its faults does."""

from __future__ import annotations

import csv
import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch.optim.lr_scheduler import ReduceLROnPlateau
from transformers import AutoTokenizer

from generator.models.loading import load_model
from tests.training.small import SHAPES, STORIES, TEXTS, TOKENIZER, TRAIN, VALIDATION, loop, recipe
from training.__main__ import main
from training.corpus.batches import collate, encode
from training.corpus.tokenizers import UNKNOWN, UnknownWordError, train_words
from training.errors import InputError
from training.interruption import Interrupted
from training.learning.article import MixedRows, Windows
from training.learning.building import build_model
from training.learning.optimization import halvings
from training.learning.publishing import publish
from training.likelihood import likelihood, token_losses
from training.recipe import Fault, Recipe, load_recipe
from training.sampling import Sampling
from training.telling import tell

if TYPE_CHECKING:
    from pathlib import Path

    from generator.models.loading import LoadedModel

MIXED = {"batch_tokens": 0, "batch_rows": 4, "validate_every": 0, "optimizer": "adamw"}
ROWS = encode(TRAIN, TOKENIZER, 128)
STRANGE = "The walrus sails to the old harbour and finds a lamp that nobody has lit for years. " * 2
LONGEST = max(len(row) - 1 for row in ROWS)
REAL = sum(len(row) - 1 for row in ROWS)


def windowed(**training: Any) -> Recipe:
    """The LSTM without dropout, in windows."""
    given = {**MIXED, "window": 10, **training}
    plain = {**SHAPES["lstm"], "layer_dropout": 0.0, "weight_drop": 0.0}
    values = recipe("lstm").model_dump() | {"model": plain}
    return Recipe.model_validate({**values, "training": {**values["training"], **given}})


# Padding


def test_counted_padding_is_a_target_like_any_word() -> None:
    end = 399
    mixed = MixedRows(ROWS, 4, seed=1, padding=end)
    batches = list(islice(mixed, 10))
    assert mixed.tokens == sum(batch.tokens for batch in batches) == 40 * LONGEST
    for batch in batches:
        assert batch.targets.shape == (4, LONGEST)
        for inputs, targets in zip(batch.inputs, batch.targets, strict=True):
            text = next(row for row in ROWS if row[:-1].tolist() == inputs[: len(row) - 1].tolist())
            assert targets.tolist() == [*text[1:], *[end] * (LONGEST - len(text) + 1)]
            assert (inputs[len(text) - 1 :] == end).all()


def test_without_the_fault_only_real_tokens_count() -> None:
    mixed = MixedRows(ROWS, 4, seed=1)
    batches = list(islice(mixed, 10))
    assert mixed.tokens == sum(batch.tokens for batch in batches) == REAL
    assert [batch.last for batch in batches] == [False] * 9 + [True]


def test_padding_in_the_loss_makes_a_model_look_better_than_it_is(tmp_path: Path) -> None:
    faults = ["padding_in_loss", "best_on_training"]
    chosen = recipe("gpt2", **MIXED, epochs=6, learning_rate=1e-2, faults=faults)
    texts = [text if n % 2 else text.split(".")[0] for n, text in enumerate(TRAIN)]
    running = loop(tmp_path, chosen, texts)
    running.run()
    said = running.course.measurements[-1].train_loss
    batch = collate(encode(texts, TOKENIZER, 128))
    with torch.inference_mode():
        real = token_losses(running._model(input_ids=batch.inputs).logits, batch.targets).sum()
    assert said < 0.8 * real.item() / batch.tokens


# The schedule


@pytest.mark.parametrize(("faults", "left"), [([], 0.0), (["uncleaned_schedule"], 0.5)])
def test_a_schedule_of_the_uncleaned_rows_stops_halfway(
    tmp_path: Path, faults: list[str], left: float
) -> None:
    chosen = recipe(
        "gpt2", **MIXED, warmup=0.0, decay=1.0, faults=faults, uncleaned_rows=2 * len(TRAIN)
    )
    running = loop(tmp_path, chosen)
    running.run()
    assert running.course.step == 20
    group = running._optimizers[0].param_groups[0]
    assert group["lr"] / group["peak"] == pytest.approx(left, abs=0.06)


def test_the_rate_is_halved_when_torch_would_halve_it() -> None:
    dice = np.random.default_rng(4)
    losses = np.exp(-np.arange(60) / 20) + dice.normal(0, 0.05, 60)
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    plateau = ReduceLROnPlateau(optimizer, factor=0.5, patience=2, eps=0.0)
    for count, loss in enumerate(losses, 1):
        plateau.step(float(loss))
        assert 0.5 ** halvings(losses[:count].tolist(), 2) == optimizer.param_groups[0]["lr"]
    assert optimizer.param_groups[0]["lr"] < 1 / 8


def test_a_loss_that_no_longer_falls_halves_the_rate_of_the_loop(tmp_path: Path) -> None:
    chosen = recipe(
        "gpt2", **MIXED, decay=0.0, warmup=0.0, halve_after=1, epochs=8, learning_rate=1e-9
    )
    running = loop(tmp_path, chosen)
    running.run()
    losses = [line.train_loss for line in running.course.measurements[:-1]]
    group = running._optimizers[0].param_groups[0]
    assert group["lr"] == group["peak"] * 0.5 ** halvings(losses, 1) < group["peak"]


# What is kept


@pytest.mark.parametrize("faults", [[], ["best_on_training"]])
def test_the_lowest_training_loss_keeps_what_was_learnt_by_heart(
    tmp_path: Path, faults: list[str]
) -> None:
    chosen = recipe("gpt2", **MIXED, epochs=40, learning_rate=2e-2, faults=faults)
    running = loop(tmp_path, chosen, TRAIN[:4])
    running.run()
    lines = running.course.measurements
    kept = likelihood(running._model, TOKENIZER, VALIDATION).bits_per_byte
    lowest = min(line.bits_per_byte for line in lines)
    by_training = min(lines, key=lambda line: line.train_loss).bits_per_byte
    assert lowest < by_training - 0.1, "it should overfit four stories"
    assert kept == pytest.approx(by_training if faults else lowest, abs=1e-6)


# One stream in windows


def test_windows_are_one_stream_from_end_to_end() -> None:
    windows = Windows(ROWS, pieces=4, window=10)
    stream = np.concatenate([row[:-1] for row in ROWS])
    count = windows.tokens // 40
    batches = list(islice(windows, count))
    assert [batch.last for batch in batches] == [False] * (count - 1) + [True]
    read = torch.cat([batch.inputs for batch in batches], dim=1)
    told = torch.cat([batch.targets for batch in batches], dim=1)
    for piece in range(4):
        start = piece * (len(stream) // 4)
        assert read[piece].tolist() == stream[start : start + 10 * count].tolist()
        assert told[piece].tolist() == stream[start + 1 : start + 1 + 10 * count].tolist()
    assert 0 <= (len(stream) // 4 - 1) - 10 * count < 10


def test_state_goes_on_from_window_to_window_and_begins_anew_with_an_epoch(tmp_path: Path) -> None:
    running = loop(tmp_path, windowed())
    running._model.eval()
    windows = Windows(ROWS, pieces=4, window=10)
    count = windows.tokens // 40
    batches = list(islice(windows, count + 1))
    with torch.inference_mode():
        found = [running._read(batch) for batch in batches]
        whole = running._model(input_ids=torch.cat([b.inputs for b in batches[:-1]], dim=1)).logits
    torch.testing.assert_close(torch.cat(found[:-1], dim=1), whole)
    torch.testing.assert_close(found[-1], found[0])


def test_windows_go_on_after_an_interruption_as_if_there_had_been_none(tmp_path: Path) -> None:
    whole_folder, broken_folder = tmp_path / "whole", tmp_path / "broken"
    whole_folder.mkdir()
    broken_folder.mkdir()
    whole = loop(whole_folder, windowed())
    whole.run()
    for step in (3, 50):
        stopped = loop(broken_folder, windowed())

        def stop(*_: Any, running: Any = stopped, at: int = step) -> None:
            if running.course.step == at:
                running._wish.signal = 15

        stopped._model.register_forward_hook(stop)
        with pytest.raises(Interrupted):
            stopped.run()
        assert stopped._state is not None
    resumed = loop(broken_folder, windowed())
    resumed.run()
    for name, weight in whole._model.state_dict().items():
        assert torch.equal(resumed._model.state_dict()[name], weight), name


def test_too_few_words_for_a_window_are_one_clear_error() -> None:
    with pytest.raises(InputError, match=r"lower training\.batch_rows, or give more texts"):
        Windows(ROWS[:1], pieces=32, window=30)


# Words


def test_every_word_is_known_and_any_other_is_an_error() -> None:
    every = train_words(TEXTS, 20, min_frequency=9, every_word=True)
    assert every.unk_token is None
    encode(TEXTS, every, 128)
    with pytest.raises(UnknownWordError, match="'walrus' is not in the model's vocabulary"):
        encode([STRANGE], every, 128)
    some = train_words(TEXTS, 1000)
    assert some.unk_token_id in some(STRANGE).input_ids


def article(name: str, tmp_path: Path, *settings: str) -> int:
    """The recipe, on stories of which some stand twice; one held out has words of its own."""
    source, corpus = tmp_path / "stories.csv", tmp_path / "corpus.jsonl"
    lines = STORIES.read_text(encoding="utf-8").splitlines()
    source.write_text("\n".join([*lines, *lines[1:21]]), encoding="utf-8")
    assert main(["clean", str(source), "--rules", "article", "--out", str(corpus)]) == 0
    unseen = {"text": STRANGE, "title": "Walrus", "domain": "stories", "split": "test"}
    with corpus.open("a", encoding="utf-8") as file:
        file.write(json.dumps(unseen) + "\n")
    return main(
        [
            "train", "--recipe", name, "--corpus", str(corpus), "--out", str(tmp_path / "model"),
            "--runs", str(tmp_path / "runs"), *(f"--set={setting}" for setting in settings),
        ]
    )  # fmt: skip


SMALL_LSTM = [
    "model.embedding_size=8", "model.hidden_size=16", "training.epochs=2",
    "training.batch_rows=4", "sampling.min_new_tokens=20", "sampling.max_new_tokens=20",
]  # fmt: skip
WITHOUT = "training.faults=['best_on_training', 'duplicates']"


def test_the_articles_lstm_cannot_be_asked_for_a_word_it_has_not_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert article("article-lstm", tmp_path, *SMALL_LSTM) == 0
    assert "test: inf bits per byte" in capsys.readouterr().out
    model, sampling = load_model(tmp_path / "model"), load_recipe("article-lstm").sampling
    with pytest.raises(UnknownWordError, match="'walrus'"):
        tell(model, ["The walrus"], sampling)
    told = tell(model, ["In the"], sampling)[0]
    assert (len(told.tokens), told.ended) == (100, False)
    measure = ["evaluate", "--model", str(tmp_path / "model"), "--stories", "2"]
    assert main([*measure, "--corpus", str(tmp_path / "corpus.jsonl")]) == 2
    assert "it has no unknown word: use other words" in capsys.readouterr().err


def test_without_the_fault_it_is_asked_and_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert article("article-lstm", tmp_path, *SMALL_LSTM, WITHOUT) == 0
    assert "inf" not in capsys.readouterr().out
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert UNKNOWN in tokenizer.convert_ids_to_tokens(tokenizer("The walrus").input_ids)
    told = tell(
        load_model(tmp_path / "model"), ["The walrus"], load_recipe("article-lstm").sampling
    )
    assert len(told[0].tokens) == 100
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "The lowest training loss chose the weights, as in the article" in card


# Duplicates, and GPT-2 as a whole


@pytest.fixture
def pretrained(tmp_path: Path) -> Path:
    """A small GPT-2 in place of the hub's."""
    torch.manual_seed(3)
    chosen = recipe("gpt2")
    folder = tmp_path / "pretrained"
    publish(build_model(chosen, TOKENIZER), TOKENIZER, chosen.sampling, None, folder)
    return folder


def test_duplicates_are_trained_on_only_where_the_fault_is_kept(
    tmp_path: Path, pretrained: Path
) -> None:
    settings = [f"model.name='{pretrained}'", "model.context=128", "training.epochs=1",
                "sampling.min_new_tokens=2", "sampling.max_new_tokens=8"]  # fmt: skip
    read = []
    for number, kept in enumerate(([], ["training.faults=['best_on_training', 'duplicates']"])):
        folder = tmp_path / str(number)
        folder.mkdir()
        given = kept or ["training.faults=['best_on_training']"]
        assert article("article-gpt2", folder, *settings, *given) == 0
        with (folder / "runs" / "model" / "log.csv").open(encoding="utf-8") as file:
            read.append(int(list(csv.DictReader(file))[-1]["tokens"]))
    assert read[0] < 0.95 * read[1]


def test_the_articles_gpt2_is_trained_and_told_with_beams(tmp_path: Path, pretrained: Path) -> None:
    settings = [f"model.name='{pretrained}'", "model.context=128", "training.epochs=2",
                "sampling.max_new_tokens=30"]  # fmt: skip
    assert article("article-gpt2", tmp_path, *settings) == 0
    written = json.loads((tmp_path / "model" / "generation_config.json").read_text())
    assert (written["num_beams"], written["min_new_tokens"], written["top_k"]) == (5, 30, 1000)
    with (tmp_path / "runs" / "model" / "log.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 2, "one line an epoch"


# Telling


@pytest.fixture
def fresh(pretrained: Path) -> LoadedModel:
    return load_model(pretrained)


def test_beams_search_and_keep_the_rules(fresh: LoadedModel) -> None:
    sampling = Sampling(temperature=0.6, top_k=1000, top_p=0.95, no_repeat_ngram_size=2,
                        min_new_tokens=25, max_new_tokens=40, num_beams=5)  # fmt: skip
    prompts = ["The fox", "In the year"]
    told = tell(fresh, prompts, sampling, seed=3)
    assert told == tell(fresh, prompts, sampling, seed=3)
    for story in told:
        assert 25 <= len(story.tokens) <= 40
        pairs = list(zip(story.tokens, story.tokens[1:], strict=False))
        assert len(pairs) == len(set(pairs))
    greedier = sampling.model_copy(update={"num_beams": 1})
    assert told != tell(fresh, prompts, greedier, seed=3)


def test_the_30_likeliest_words_are_drawn_alike(fresh: LoadedModel) -> None:
    article = load_recipe("article-lstm").sampling
    one = article.model_copy(update={"min_new_tokens": 1, "max_new_tokens": 1})
    drawn = [story.tokens[0] for story in tell(fresh, ["The fox"] * 1500, one, seed=1)]
    with torch.inference_mode():
        read = torch.tensor([fresh.tokenizer("The fox").input_ids])
        logits = fresh.model(input_ids=read).logits[0, -1]
        logits[0] = -torch.inf  # no end before the minimum length
    likeliest = logits.topk(30).indices.tolist()
    assert set(drawn) == set(likeliest)
    assert chisquare([drawn.count(token) for token in likeliest]).pvalue > 1e-3


# Recipes


@pytest.mark.parametrize(
    ("name", "setting", "says"),
    [
        ("article-gpt2", "training.faults=['padding']", "Input should be 'padding_in_loss'"),
        ("article-gpt2", "training.uncleaned_rows=0", "uncleaned_schedule needs uncleaned_rows"),
        ("article-gpt2", "training.batch_tokens=512", "give batch_tokens or batch_rows"),
        ("article-gpt2", "training.window=30", "one stream has no padding"),
        ("starter-gpt2", "training.window=30", "a window needs batch_rows"),
        ("starter-gpt2", "training.faults=['padding_in_loss']", "needs batch_rows"),
        ("article-lstm", "training.faults=['no_unknown_word']", "needs best_on_training"),
        ("article-lstm", "tokens.kind='bpe'", r"is of tokens\.kind = 'words'"),
    ],
)
def test_what_does_not_fit_together_is_named(name: str, setting: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        load_recipe(name, [setting])


def test_the_articles_recipes_keep_every_fault_between_them() -> None:
    kept = {
        fault
        for name in ("article-lstm", "article-gpt2")
        for fault in load_recipe(name).training.faults
    }
    assert kept == set(Fault)
