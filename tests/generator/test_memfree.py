"""The filter of the training texts' n-grams, as a file and in the sampler's hands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as torch_save
from transformers import GenerationConfig, LogitsProcessor

from generator.engine.loop import Engine
from generator.models.errors import ModelFolderError
from generator.models.loading import load_model
from generator.native import Threads
from generator.sampling.memfree import MEMFREE_FILE, MemFree, MemFreeError
from generator.sampling.native_sampler import NativeSampler
from generator.sampling.requests import Request
from generator.sampling.rules import Rules
from generator.sampling.settings import Sampling
from generator.sampling.torch_sampler import TorchSampler
from generator.sampling.vocabulary import Vocabulary
from generator.server.defaults import settings_of
from generator.server.protocol import CompletionRequest
from tests.generator.engines import tell as tell_one
from tests.generator.small_folders import save_gpt2, save_lstm
from training.sampling import Sampling as Published
from training.telling import tell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from generator.models.choosing import Precision
    from generator.models.loading import LoadedModel
    from training.telling import Story

INSIDE = np.array([2, 3], np.int32)
RNG = np.random.default_rng(5)
TEXTS = [RNG.integers(4, 3000, 60).tolist() for _ in range(50)]


def grams(text: list[int], size: int = 7) -> NDArray[np.int64]:
    return np.lib.stride_tricks.sliding_window_view(np.array(text), size)


def test_no_ngram_is_forgotten_and_few_others_are_taken_for_one() -> None:
    filter_ = MemFree.of(TEXTS, INSIDE)
    assert all(filter_.holds(grams(text)).all() for text in TEXTS)
    assert filter_.holds(RNG.integers(4, 3000, (100_000, 7))).mean() < 2 / 320


def test_what_ends_inside_a_word_is_not_kept() -> None:
    text = [*range(10, 16), 3, *range(20, 26), 30]
    kept = MemFree.of([text], INSIDE).holds(grams(text))
    assert not kept[0]
    assert kept[1:].all()


def test_a_filter_can_take_in_another_ones_ngrams() -> None:
    first = MemFree.of(TEXTS[:25], INSIDE)
    both = MemFree.of(TEXTS[25:], INSIDE, first)
    assert all(both.holds(grams(text)).all() for text in TEXTS)
    others = RNG.integers(4, 3000, (100_000, 7))
    for filter_ in (first, both):
        assert filter_.mistaken == pytest.approx(filter_.holds(others).mean(), rel=0.2)
    assert both.mistaken > 10 * first.mistaken


def test_short_texts_and_none_make_a_filter_of_nothing() -> None:
    for texts in ([], [[1, 2, 3]]):
        assert not MemFree.of(texts, INSIDE).holds(grams(list(range(40)))).any()


def test_a_file_gives_the_same_filter_back(tmp_path: Path) -> None:
    filter_ = MemFree.of(TEXTS, INSIDE)
    filter_.save(tmp_path)
    loaded = MemFree.load(tmp_path / MEMFREE_FILE)
    assert (loaded.ngram_size, loaded.hashes) == (filter_.ngram_size, filter_.hashes)
    assert np.array_equal(loaded.bits, filter_.bits)


@pytest.mark.parametrize(
    "damage", ["empty", "cut", "other", "floats", "bfloat16", "full", "no hashes", "no size"]
)
def test_a_file_that_is_no_filter_is_one_clear_error(tmp_path: Path, damage: str) -> None:
    folder = save_gpt2(tmp_path / "teller")
    file = folder / MEMFREE_FILE
    MemFree.of(TEXTS, INSIDE).save(folder)
    about = {"ngram_size": "7", "hashes": "8"}
    bits = np.ones(8, np.uint8)
    if damage == "empty":
        file.write_bytes(b"")
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-20])
    elif damage == "other":
        save_file({"weights": bits}, file, about)
    elif damage == "floats":
        save_file({"bits": bits.astype(np.float32)}, file, about)
    elif damage == "bfloat16":
        torch_save({"bits": torch.ones(8, dtype=torch.bfloat16)}, file, about)
    elif damage == "full":
        save_file({"bits": bits * 255}, file, about)
    elif damage == "no hashes":
        save_file({"bits": bits}, file, about | {"hashes": "0"})
    else:
        save_file({"bits": bits}, file)
    says = "is so full" if damage == "full" else "no filter of n-grams"
    with pytest.raises(MemFreeError, match=says):
        MemFree.load(file)
    with pytest.raises(ModelFolderError, match=says):
        load_model(folder)


def test_a_folder_that_promises_it_must_have_it(tmp_path: Path) -> None:
    folder = save_gpt2(tmp_path / "teller")
    settings = GenerationConfig(eos_token_id=0, memfree=True)
    settings.save_pretrained(folder)
    with pytest.raises(ModelFolderError, match=f"there is no {MEMFREE_FILE}"):
        load_model(folder)
    MemFree.of(TEXTS, INSIDE).save(folder)
    own = load_model(folder).settings
    for asked, kept in ((None, True), (False, False), (True, True)):
        request = CompletionRequest.model_validate({"model": "teller", "memfree": asked})
        assert settings_of(request, own).memfree is kept


PROMPTS = [" ".join(["the"] * count) for count in range(3, 27)]
FREE = Published(temperature=0.7, max_new_tokens=60)


def told(loaded: LoadedModel, sampling: Published = FREE) -> list[Story]:
    return tell(loaded, PROMPTS, sampling)


@pytest.mark.parametrize("save", [save_gpt2, save_lstm])
def test_stories_keep_clear_of_what_the_model_has_read(
    tmp_path: Path, save: Callable[[Path], Path], precision: Precision
) -> None:
    """What it tells is what it must not tell again: at every seventh token it has to turn off."""
    folder = save(tmp_path / "teller")
    free = load_model(folder, precision=precision)
    first = told(free)
    inside = free.vocabulary().continuations
    MemFree.of([list(story.tokens) for story in first], inside).save(folder)
    guarded = load_model(folder, precision=precision)
    assert told(guarded) == first  # a filter that nobody asked for changes nothing
    assert guarded.memfree is not None
    other = told(guarded, FREE.model_copy(update={"memfree": True}))
    assert other != first
    for story in other:
        ngrams = grams(list(story.tokens))
        free_to_copy = np.isin(ngrams[:, -1], inside)
        assert (free_to_copy | ~guarded.memfree.holds(ngrams)).all()


@pytest.mark.usefixtures("native_step")
@pytest.mark.parametrize("sampled", [True, False])
def test_both_samplers_strike_out_the_same_tokens(*, sampled: bool) -> None:
    """The C++ hashes as numpy does."""
    story = np.array([TEXTS[0]], np.int32)
    every = [[*TEXTS[0], token] for token in range(0, 300, 2)]
    filter_ = MemFree.of(every, INSIDE)
    stories = story.repeat(2000, axis=0)
    slots, lengths = np.arange(2000, dtype=np.int32), np.full(2000, story.shape[1], np.int32)
    vocabulary = Vocabulary(ends=(1,), continuations=INSIDE, memfree=filter_)
    rules = Rules(2000)
    sampling = Sampling(memfree=True, temperature=1.0 if sampled else 0.0)
    logits = torch.zeros(2000, 300)
    for seed in range(2000):
        rules.put(seed, Request(prompt=(4,), sampling=sampling, seed=seed, max_tokens=5))
        logits[seed, seed % 300] = 1.0
    drawn = [
        sampler.draw(logits.clone(), slots, lengths).tolist()
        for sampler in (
            TorchSampler(rules, stories, vocabulary),
            NativeSampler(rules, stories, vocabulary, Threads(1)),
        )
    ]
    assert drawn[0] == drawn[1]
    # All even tokens complete an n-gram, but 2 goes on with a word.
    assert {token for token in drawn[0] if token % 2 == 0} == {2}
    assert len(set(drawn[0])) > 100


@pytest.mark.usefixtures("native_step")
def test_rows_of_many_rules_are_drawn_alike_by_both_samplers() -> None:
    """In any order, with and without the rule, some at the beginning of their story."""
    rng, slots, vocabulary = np.random.default_rng(1), 16, 2000
    for trial in range(6):
        inside = np.arange(0, 900, 1 + trial, dtype=np.int32)
        history = rng.integers(0, vocabulary, (slots, 40)).astype(np.int32)
        lengths = rng.integers(1, 40, slots).astype(np.int32)
        logits = (rng.standard_normal((slots, vocabulary)) * 4).astype(np.float32)
        likeliest = np.argsort(-logits)[:, :60]
        filter_ = MemFree.of(
            [
                [*history[slot, : lengths[slot]].tolist(), token]
                for slot in range(slots)
                for token in likeliest[slot].tolist()
            ],
            inside,
        )
        rules = Rules(slots)
        for slot in range(slots):
            sampling = Sampling(
                memfree=bool(slot % 2),
                temperature=float(rng.choice([0.0, 0.7, 1.3])),
                top_k=int(rng.choice([0, 1, 40])),
                top_p=float(rng.choice([1.0, 0.95, 0.3])),
            )
            seed = int(rng.integers(0, 2**60))
            rules.put(slot, Request(prompt=(4,), sampling=sampling, seed=seed, max_tokens=5))
        known = Vocabulary(ends=(1999,), continuations=inside, memfree=filter_)
        order = rng.permutation(slots).astype(np.int32)
        drawn = [
            sampler.draw(torch.from_numpy(logits[order]), order, lengths[order])
            for sampler in (
                TorchSampler(rules, history, known),
                NativeSampler(rules, history, known, Threads(2)),
            )
        ]
        assert drawn[0].tolist() == drawn[1].tolist()
        for slot, token in zip(order, drawn[0], strict=True):
            story = [*history[slot, : lengths[slot]], token]
            looked_at = rules.rows["memfree"][slot] and len(story) >= 7 and token not in inside
            assert not (looked_at and filter_.holds(np.array([story[-7:]])).any())


@pytest.mark.usefixtures("native_step")
def test_the_end_is_never_struck_out() -> None:
    story = np.array([TEXTS[0]], np.int32)
    filter_ = MemFree.of([[*TEXTS[0], token] for token in range(50)], np.empty(0, np.int32))
    vocabulary = Vocabulary(ends=(9,), memfree=filter_)
    assert vocabulary.memfree_exempt.tolist() == [9]
    rules = Rules(1)
    sampling = Sampling(memfree=True)
    rules.put(0, Request(prompt=(4,), sampling=sampling, seed=1, max_tokens=5))
    slots, lengths = np.zeros(1, np.int32), np.array([story.shape[1]], np.int32)
    for sampler in (
        TorchSampler(rules, story, vocabulary),
        NativeSampler(rules, story, vocabulary, Threads(1)),
    ):
        assert sampler.draw(torch.zeros(1, 50), slots, lengths)[0] == 9
        ways = sampler.ways(torch.zeros(1, 50), np.zeros(1, np.float32), slots, lengths, 4)
        assert ways.tokens.tolist() == [9]


@pytest.mark.usefixtures("native_step")
def test_where_every_token_would_copy_one_is_drawn_all_the_same() -> None:
    story = np.array([TEXTS[0]], np.int32)
    filter_ = MemFree.of([[*TEXTS[0], token] for token in range(50)], np.empty(0, np.int32))
    rules = Rules(1)
    sampling = Sampling(memfree=True)
    rules.put(0, Request(prompt=(4,), sampling=sampling, seed=1, max_tokens=5))
    vocabulary = Vocabulary(memfree=filter_)
    for sampler in (
        TorchSampler(rules, story, vocabulary),
        NativeSampler(rules, story, vocabulary, Threads(1)),
    ):
        slots, lengths = np.zeros(1, np.int32), np.array([story.shape[1]], np.int32)
        assert 0 <= sampler.draw(torch.zeros(1, 50), slots, lengths)[0] < 50


@pytest.mark.parametrize("kind", ["greedy", "drawn"])
def test_beams_keep_clear_of_what_the_model_has_read(
    tmp_path: Path, precision: Precision, kind: str
) -> None:
    folder = save_gpt2(tmp_path / "teller")
    searched = FREE.model_copy(update={"num_beams": 2, "max_new_tokens": 24})
    if kind == "greedy":
        searched = searched.model_copy(update={"top_k": 1})
    loaded = load_model(folder, precision=precision)
    first = tell(loaded, PROMPTS[:2], searched)
    inside = loaded.vocabulary().continuations
    MemFree.of([list(story.tokens) for story in first], inside).save(folder)
    loaded = load_model(folder, precision=precision)
    assert loaded.memfree is not None
    told = tell(loaded, PROMPTS[:2], searched.model_copy(update={"memfree": True}))
    assert told != first
    for story in told:
        ngrams = grams(list(story.tokens))
        assert len(ngrams) > 10
        assert (np.isin(ngrams[:, -1], inside) | ~loaded.memfree.holds(ngrams)).all()


async def test_beams_keep_clear_of_it_as_where_transformers_never_looks_at_it(
    tmp_path: Path,
) -> None:
    """Which its `generate` can be told by a processor."""
    folder = save_gpt2(tmp_path / "teller")
    loaded = load_model(folder, precision="float32")
    greedy = Request(
        prompt=(9, 8, 7), sampling=Sampling(temperature=0), seed=0, max_tokens=24, num_beams=3
    )
    async with Engine(loaded, slots=3) as engine:
        free, _ = await tell_one(engine, greedy)
        MemFree.of([free], loaded.vocabulary().continuations).save(folder)
    guarded = load_model(folder, precision="float32")
    memfree, exempt = MemFree.load(folder / MEMFREE_FILE), guarded.vocabulary().memfree_exempt

    class Struck(LogitsProcessor):
        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            before, (rows, size) = input_ids[:, -6:].numpy(), scores.shape
            if before.shape[1] < 6:
                return scores
            tokens = np.tile(np.arange(size), rows)
            held = memfree.holds(np.column_stack([before.repeat(size, 0), tokens]))
            struck = torch.from_numpy(held & ~np.isin(tokens, exempt)).view(rows, size)
            return scores.masked_fill(struck, -torch.inf)

    model: Any = loaded.model
    expected = model.generate(
        torch.tensor([greedy.prompt]), num_beams=3, do_sample=False, max_new_tokens=24,
        pad_token_id=0, suppress_tokens=loaded.suppressed().tolist(), logits_processor=[Struck()],
    )[0, 3:].tolist()  # fmt: skip
    async with Engine(guarded, slots=3) as engine:
        memfree_too = replace(greedy, sampling=Sampling(temperature=0, memfree=True))
        found, _ = await tell_one(engine, memfree_too)
    assert found == (expected[: expected.index(0)] if 0 in expected else expected)
    assert found != free
