"""What is measured on stories, and the command that measures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from tests.training.small import STORIES, TEXTS, TOKENIZER, recipe
from training.__main__ import main
from training.corpus.copies import Copies, words_of
from training.corpus.franchise import Families
from training.corpus.texts import Split, Text, write_corpus
from training.corpus.tokenizers import END
from training.learning.building import build_model
from training.learning.publishing import publish
from training.measuring import bootstrap
from training.measuring.diversity import distinct, repeated, self_bleu
from training.measuring.evaluation import read_after
from training.measuring.unseen import read_unseen

if TYPE_CHECKING:
    from pathlib import Path

    from training.measuring.bootstrap import Estimate

KEYS = {
    "bits_per_byte", "word_perplexity", "prompt_ranking", "distinct_1", "distinct_2", "distinct_3",
    "self_bleu", "repeat_4", "words", "ended", "copied_8", "copied_8_human", "copied_longest",
}  # fmt: skip


def test_words_are_lower_cased_and_marks_stand_alone() -> None:
    assert words_of("The fox can't, \"sleep\"!") == [
        "the", "fox", "can't", ",", '"', "sleep", '"', "!",
    ]  # fmt: skip


def test_distinct_is_the_share_of_different_ngrams_over_all_stories() -> None:
    stories = [["a", "b", "a", "b"], ["a", "b", "c"]]
    for size, expected in ((1, 3 / 7), (2, 3 / 5), (3, 3 / 3)):
        parts, wholes = distinct(stories, size)
        assert sum(parts) / sum(wholes) == pytest.approx(expected)


def test_repetition_is_the_share_of_ngrams_used_before() -> None:
    assert repeated(["a", "b", "c", "d", "e", "f", "g"]) == 0
    assert repeated(["a"] * 8) == pytest.approx(4 / 5)
    assert repeated(["a"]) == 0


def test_self_bleu_is_one_for_equal_stories_and_near_zero_for_strangers() -> None:
    story = ["the", "fox", "lights", "a", "lantern", "in", "the", "town"]
    assert self_bleu([story, story, story]) == pytest.approx([1, 1, 1])
    strangers = [[f"{letter}{n}" for n in range(8)] for letter in "abc"]
    assert max(self_bleu(strangers)) < 0.1


def test_self_bleu_is_bleu_of_papineni() -> None:
    """Four of five words, two of four pairs, one of three triples, no run of four; equally long."""
    one, other = ["the", "old", "fox", "sleeps", "now"], ["the", "old", "fox", "dreams", "now"]
    expected = ((4 / 5) * (2 / 4) * (1 / 3) * (0.5 / 2)) ** 0.25
    assert self_bleu([one, other]) == pytest.approx([expected, expected])


def test_copies_are_found_in_training_texts() -> None:
    copies = Copies(["One two three four five six seven eight nine ten."], size=8)
    assert copies.share(words_of("ONE two three four five six seven eight nine ten.")) == 1
    story = words_of("zero two three four five six seven eight nine ten and on")
    assert copies.longest(story) == 9
    assert copies.share(story) == pytest.approx(2 / 5)
    assert copies.longest(words_of("two three four")) == 0


def test_an_interval_holds_its_figure_and_narrows_with_more_texts() -> None:
    few, many = (bootstrap.mean([0, 1] * n, range(2 * n)) for n in (10, 1000))
    assert few.low < few.value == 0.5 < few.high
    assert width(many) < width(few) / 5
    assert bootstrap.ratio([1, 9], [1, 3], [0, 1]).value == pytest.approx(10 / 4)


def width(figure: Estimate) -> float:
    return figure.high - figure.low


def test_an_interval_is_as_wide_as_its_franchises_are_few() -> None:
    """A hundred texts of ten franchises, alike within each, say as much as ten texts."""
    dice = np.random.default_rng(1)
    franchises = [n // 10 for n in range(100)]
    values = dice.normal(size=10)
    grouped = bootstrap.mean([values[of] for of in franchises], franchises)
    ten = bootstrap.mean(values.tolist(), range(10))
    assert (grouped.value, grouped.low, grouped.high) == pytest.approx(
        (ten.value, ten.low, ten.high)
    )
    assert width(grouped) > 2 * width(bootstrap.mean([values[of] for of in franchises], range(100)))


def test_a_difference_is_drawn_alike_for_both() -> None:
    """Models that always differ by one tenth do so for sure, however much the texts differ."""
    texts = np.random.default_rng(2).normal(10, 5, 60)
    franchises = [n // 3 for n in range(60)]
    one = bootstrap.mean(texts.tolist(), franchises)
    other = bootstrap.mean((texts + 0.1).tolist(), franchises)
    assert width(one) > 1
    gap = other - one
    assert (gap.value, gap.low, gap.high) == pytest.approx((0.1, 0.1, 0.1))


def test_what_people_share_is_counted_among_works_that_only_a_run_had_joined(
    tmp_path: Path,
) -> None:
    """Else it were near zero however much they share; a sequel's repetition is no one's copy."""
    run = "there is more to him than meets the eye"
    rest = "and far from here somebody counts the ships that pass {} by night or day"
    written = [
        ("Fox Fire", f"The baker sleeps, for {run} {rest.format('red')}."),
        ("Snow Bell", f"A painter wakes, since {run} {rest.format('grey')}."),
        ("Snow Bell 2", f"The painter dreams, for {run} {rest.format('grey')}."),
        ("Moth", "Nobody knows who lights the lamps of this old town every evening of the year."),
    ]
    families = Families(*zip(*written, strict=True))
    assert families.of(0) == families.of(1) == families.of(2)
    corpus = tmp_path / "corpus.jsonl"
    texts = [Text(text, title, "anime", Split.TRAIN) for title, text in written]
    held_out = Text("A fox lights the lanterns of a sleeping town.", "Lantern", "anime", Split.TEST)
    write_corpus([*texts, held_out, Text(written[3][1], "Another", "films", Split.TRAIN)], corpus)
    unseen = read_unseen(corpus, Split.TEST)
    assert unseen.people is not None
    # The first and third share twenty words and a comma, the second nineteen with the first: what
    # it says otherwise stands in its sequel alone. The last stands in another file too.
    assert [len(words_of(text)) for _, text in written] == [30, 30, 30, 16]
    shares = [(21 - 7) / 23, (19 - 7) / 23, (21 - 7) / 23, 1.0]
    assert unseen.people.value == pytest.approx(sum(shares) / 4)


def test_it_is_said_which_token_texts_are_read_after() -> None:
    assert read_after(TOKENIZER) == f"`{END}`"
    nameless = PreTrainedTokenizerFast(tokenizer_object=TOKENIZER.backend_tokenizer)
    assert "first token is not counted" in read_after(nameless)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "small"
    chosen = recipe("gpt2")
    publish(build_model(chosen, TOKENIZER), TOKENIZER, chosen.sampling, None, path)
    return path


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, float | None]:
    assert main(["evaluate", *arguments, "--stories", "4", "--json"]) == 0
    numbers: dict[str, float | None] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return numbers


def test_the_command_measures_a_split_of_a_corpus(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = tmp_path / "corpus.jsonl"
    assert main(["clean", str(STORIES), "--out", str(corpus)]) == 0
    found = evaluated(
        capsys, "--model", str(folder), "--corpus", str(corpus), "--split", "validation"
    )
    assert set(found) == {f"{key}{end}" for key in KEYS for end in ("", "_low", "_high")}
    for key in KEYS - {"prompt_ranking"}:
        low, value, high = (found[f"{key}{end}"] for end in ("_low", "", "_high"))
        assert low is not None
        assert value is not None
        assert high is not None
        assert low <= value <= high


def test_the_command_measures_any_synopsis_file_as_a_whole(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "unseen.csv"
    path.write_text("overview\n" + "".join(f'"{text}"\n' for text in TEXTS[:20]))
    found = evaluated(capsys, "--model", str(folder), "--corpus", str(path))
    assert found["copied_8"] is None
    assert found["prompt_ranking"] is not None
    assert found["bits_per_byte"] is not None


@pytest.mark.parametrize(
    ("model", "corpus", "says"),
    [("./none", str(STORIES), "no model folder ./none"), ("./none", "none.csv", "no such file")],
)
def test_what_cannot_be_measured_is_one_clear_error(
    model: str, corpus: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--model", model, "--corpus", corpus]) == 2
    assert says in capsys.readouterr().err


def test_a_damaged_corpus_is_not_measured_as_a_whole(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = tmp_path / "corpus.jsonl"
    assert main(["clean", str(STORIES), "--out", str(corpus)]) == 0
    corpus.write_bytes(corpus.read_bytes()[:-20])
    assert main(["evaluate", "--model", str(folder), "--corpus", str(corpus)]) == 2
    assert "is not a cleaned corpus" in capsys.readouterr().err


def test_stories_can_be_told_with_other_sampling_settings(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--model", str(folder), "--corpus", str(STORIES)]
    found = evaluated(capsys, *asked, "--set", "max_new_tokens=1", "--set", "temperature=0.5")
    assert found["words"] is not None
    assert found["words"] <= 8


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("temperature", "write it as name=value"),
        ("temperature=0", "--set temperature: Input should be greater than 0"),
        ("heat=1", "--set heat: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_sampling_setting_is_one_clear_error(
    setting: str, says: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--model", str(folder), "--corpus", str(STORIES)]
    assert main(["evaluate", *asked, "--set", setting]) == 2
    assert says in capsys.readouterr().err
