"""Models that know their few texts by heart, and must not say so."""

from __future__ import annotations

import shutil
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
from transformers import GenerationConfig

from generator.models.loading import load_model
from generator.sampling.memfree import MEMFREE_FILE, MemFree
from tests.training.small import STORIES, TEXTS, TOKENIZER
from training.__main__ import main
from training.corpus.copies import Copies, words_of
from training.corpus.texts import IMAGINED, Split, Text, read_corpus, write_corpus
from training.learning.memfree import memfree_of
from training.learning.publishing import staged
from training.recipe import load_recipe
from training.sampling import Sampling
from training.telling import Story, tell

READ = TEXTS[:6]
BEGINNINGS = [" ".join(text.split()[:3]) for text in READ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A corpus of a few texts, one of them imagined, and a model that learned them by heart."""
    place = tmp_path_factory.mktemp("memfree")
    corpus, folder = place / "few.jsonl", place / "by-heart"
    texts = [Text(text, "", "stories", Split.TRAIN) for text in READ]
    texts[-1] = Text(READ[-1], "", IMAGINED, Split.TRAIN)
    held_out = [Text(TEXTS[-1], "", "stories", split) for split in (Split.VALIDATION, Split.TEST)]
    write_corpus([*texts, *held_out], corpus)
    settings = [
        "model.embedding_size=64", "model.num_layers=1", "model.num_heads=2", "model.dropout=0.0",
        "tokens.vocab_size=400", "training.epochs=150", "training.batch_tokens=2048",
        "training.faults=['best_on_training']", "training.validate_every=50",
        "training.target_last=0.0", "sampling.temperature=0.1", "sampling.memfree=false",
        "sampling.repetition_penalty=1.0", "sampling.no_repeat_ngram_size=0",
    ]  # fmt: skip
    given = [part for setting in settings for part in ("--set", setting)]
    arguments = ["--corpus", str(corpus), "--out", str(folder), "--runs", str(place / "runs")]
    assert main(["train", "--recipe", "starter-gpt2", *arguments, *given]) == 0
    return corpus, folder


def told(folder: Path, *, memfree: bool, seed: int = 0) -> list[Story]:
    """A story for each beginning."""
    model = load_model(folder)
    sampling = Sampling.of(model.model.generation_config).model_copy(update={"memfree": memfree})
    return tell(model, BEGINNINGS, sampling, seed=seed)


def completed(story: Story, beginning: str, folder: Path) -> int:
    """How many of the filter's n-grams a story ends, where a word begins."""
    model = load_model(folder)
    assert model.memfree is not None
    tokens = [*model.tokenizer(beginning).input_ids, *story.tokens]
    ngrams = np.lib.stride_tricks.sliding_window_view(tokens, model.memfree.ngram_size)
    return int(
        model.memfree.holds(
            ngrams[~np.isin(ngrams[:, -1], model.vocabulary().memfree_exempt)]
        ).sum()
    )


def test_a_model_that_knows_its_texts_by_heart_tells_others(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, folder = folders
    recited = told(folder, memfree=False)
    assert [story.text for story in recited] == READ
    assert main(["memfree", "--model", str(folder), "--corpus", str(corpus)]) == 0
    assert "5 texts" in capsys.readouterr().out
    assert Sampling.of(load_model(folder).model.generation_config).memfree
    *others, imagined = told(folder, memfree=True)
    assert Copies(READ[-1:]).share(words_of(imagined.text)) > 0.5  # but where others say it too
    assert all(map(completed, recited[:-1], BEGINNINGS, [folder] * 5))
    assert not any(map(completed, others, BEGINNINGS, [folder] * 5))
    # A passage that is spelt in other pieces than the texts' may slip through, now and then.
    copies = Copies(READ[:-1])
    assert mean(copies.share(words_of(story.text)) for story in others) < 0.05


@pytest.mark.parametrize("seed", range(100, 104))
def test_no_story_ends_a_run_of_the_texts_tokens_whatever_is_drawn(
    folders: tuple[Path, Path], seed: int
) -> None:
    corpus, folder = folders
    assert main(["memfree", "--model", str(folder), "--corpus", str(corpus)]) == 0
    stories = told(folder, memfree=True, seed=seed)
    assert not any(map(completed, stories, BEGINNINGS, [folder] * len(stories)))


def test_what_has_no_texts_or_no_model_is_one_clear_error(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, folder = folders
    assert main(["memfree", "--model", str(tmp_path / "none"), "--corpus", str(corpus)]) == 2
    assert "no model folder" in capsys.readouterr().err
    held_out = [text for text in read_corpus(corpus) if text.split is not Split.TRAIN]
    write_corpus(held_out, tmp_path / "held-out.jsonl")
    arguments = ["--model", str(folder), "--corpus", str(tmp_path / "held-out.jsonl")]
    assert main(["memfree", *arguments]) == 2
    assert "no texts to train on" in capsys.readouterr().err


def test_another_sitting_keeps_clear_of_what_was_read_before(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    corpus, folder = folders
    assert main(["memfree", "--model", str(folder), "--corpus", str(corpus)]) == 0
    other = tmp_path / "other.jsonl"
    held_out = [text for text in read_corpus(corpus) if text.split is not Split.TRAIN]
    write_corpus([Text(TEXTS[20], "", "stories", Split.TRAIN), *held_out], other)
    settings = [f"model.name='{folder}'", "model.context=128", "training.batch_tokens=512"]
    given = [part for setting in settings for part in ("--set", setting)]
    arguments = ["--corpus", str(other), "--out", str(tmp_path / "out"), "--runs", str(tmp_path)]
    assert main(["train", "--recipe", "further-gpt2", *arguments, *given]) == 0
    model = load_model(tmp_path / "out")
    assert model.memfree is not None
    inside = model.vocabulary().continuations
    for text in (*READ[:-1], TEXTS[20]):
        tokens = model.tokenizer(text, add_special_tokens=False).input_ids
        ngrams = np.lib.stride_tricks.sliding_window_view(tokens, model.memfree.ngram_size)
        assert model.memfree.holds(ngrams[~np.isin(ngrams[:, -1], inside)]).all()


def test_a_filter_without_room_is_said_before_training(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, folder = folders
    held_out = [text for text in read_corpus(corpus) if text.split is not Split.TRAIN]
    one = tmp_path / "one.jsonl"
    write_corpus([Text(TEXTS[20], "", "stories", Split.TRAIN), *held_out], one)
    assert main(["memfree", "--model", str(folder), "--corpus", str(one)]) == 0
    arguments = [
        "--corpus",
        str(corpus),
        "--out",
        str(tmp_path / "out"),
        "--runs",
        str(tmp_path / "runs"),
    ]
    settings = [f"model.name='{folder}'", "model.context=128", "training.batch_tokens=512"]
    given = [part for setting in settings for part in ("--set", setting)]
    assert main(["train", "--recipe", "further-gpt2", *arguments, *given]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "no room for so many texts more: give it room first, by `python -m training" in said
    assert f"memfree --model {folder}`" in said
    assert not (tmp_path / "out").exists()


def test_imagined_texts_alone_make_a_filter_of_nothing() -> None:
    recipe = load_recipe("starter-gpt2")
    imagined = [Text(TEXTS[0], "", IMAGINED, Split.TRAIN)]
    memfree = memfree_of(recipe, imagined, TOKENIZER)
    assert memfree is not None
    assert memfree.mistaken == 0.0


def test_training_anew_without_the_rule_leaves_no_filter_of_other_tokens(tmp_path: Path) -> None:
    folder = tmp_path / "teller"
    for memfree in (MemFree.of([], np.empty(0, np.int32)), None):
        with staged(folder) as beside:
            if memfree is not None:
                memfree.save(beside)
        assert (folder / MEMFREE_FILE).exists() is (memfree is not None)


def test_what_a_damaged_or_missing_filter_breaks_the_command_mends(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, folder = folders
    mend = ["memfree", "--model", str(folder), "--corpus", str(corpus)]
    assert main(mend) == 0
    look = ["evaluate", "--model", str(folder), "--corpus", str(corpus), "--stories", "1"]
    for damage in (Path.unlink, lambda file: file.write_bytes(b"no filter")):
        damage(folder / MEMFREE_FILE)
        assert main(look) == 2
        assert MEMFREE_FILE in capsys.readouterr().err
        assert main(mend) == 0
        assert main(look) == 0


def test_stories_are_not_measured_as_if_they_kept_a_rule_that_cannot_be_kept(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, folder = folders
    shutil.copytree(folder, tmp_path / "none")
    (tmp_path / "none" / MEMFREE_FILE).unlink(missing_ok=True)
    GenerationConfig(max_new_tokens=9).save_pretrained(tmp_path / "none")
    look = ["evaluate", "--model", str(tmp_path / "none"), "--corpus", str(corpus)]
    assert main([*look, "--set", "memfree=true"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"memfree: none has no {MEMFREE_FILE}."


def test_training_publishes_the_filter_where_the_recipe_asks(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    assert main(["clean", str(STORIES), "--out", str(corpus)]) == 0
    arguments = ["--corpus", str(corpus), "--out", str(tmp_path / "lstm"), "--runs", str(tmp_path)]
    shape = ["model.embedding_size=16", "model.hidden_size=16", "tokens.vocab_size=300"]
    given = [part for name in (*shape, "training.epochs=0.1") for part in ("--set", name)]
    assert main(["train", "--recipe", "starter-lstm", *arguments, *given]) == 0
    model = load_model(tmp_path / "lstm")
    assert model.memfree is not None
    assert Sampling.of(model.model.generation_config).memfree
    assert "sampling.memfree | True" in (tmp_path / "lstm" / "README.md").read_text()
