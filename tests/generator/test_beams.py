"""Searches with beams, in the engine's slots beside the stories that it tells."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from itertools import product, takewhile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency

from generator.engine.errors import EngineError, SlotsFullError
from generator.engine.loop import Engine
from generator.engine.scheduler import Scheduler
from generator.models.decoder import Batch
from generator.models.loading import LoadedModel, load_model
from generator.sampling.requests import Request
from generator.sampling.settings import Sampling
from tests.generator.engines import GREEDY, LIVELY, Watched, tell
from tests.generator.small_folders import save_gpt2, save_llama, save_lstm, save_words

if TYPE_CHECKING:
    from pathlib import Path

    from generator.models.decoder import Decoder

ARTICLE = Sampling(temperature=0.6, top_k=1000, top_p=0.95, no_repeat_ngram_size=2)
SAVES = {"gpt2": save_gpt2, "llama": save_llama, "lstm": save_lstm}


@pytest.fixture(scope="module", params=SAVES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return SAVES[request.param](tmp_path_factory.mktemp("models") / request.param)


@pytest.fixture(scope="module")
def loaded(folder: Path) -> LoadedModel:
    return load_model(folder, precision="float32")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 of six words, and the end."""
    folder = save_gpt2(
        tmp_path_factory.mktemp("models") / "words",
        vocab_size=9, n_embd=16, n_layer=1, n_head=1, eos_token_id=8, initializer_range=0.15,
    )  # fmt: skip
    save_words(folder)
    return folder


def by_transformers(loaded: LoadedModel, asked: Request, times: int = 1, **more: Any) -> list[Any]:
    """What `generate` finds: so many times the tokens after the prompt, without what ends them."""
    rules = asked.sampling.model_dump(include={"repetition_penalty", "no_repeat_ngram_size"})
    model: Any = loaded.model  # transformers' mix-in hides `generate` from type checkers
    found = model.generate(
        torch.tensor([asked.prompt] * times),
        num_beams=asked.num_beams,
        max_new_tokens=asked.max_tokens,
        min_new_tokens=asked.min_tokens,
        eos_token_id=list(loaded.ends) or None,
        pad_token_id=0,
        suppress_tokens=loaded.suppressed().tolist() or None,
        **{"do_sample": False} | rules | more,
    )
    stories = found[:, len(asked.prompt) :].tolist()
    return [tuple(takewhile(lambda token: token not in loaded.ends, story)) for story in stories]


def some_searches() -> list[Request]:
    """Of few and many beams, with rules and without, of which some end early."""
    return [
        Request(prompt=prompt, sampling=sampling, seed=0, max_tokens=tokens, min_tokens=least,
                num_beams=beams)
        for prompt, sampling, tokens, least, beams in (
            ((9, 8, 7), GREEDY, 12, 0, 3),
            ((5,), GREEDY, 40, 0, 2),
            (tuple(range(20, 90)), GREEDY, 30, 10, 5),
            ((1, 2), GREEDY, 1, 0, 4),
            ((77, 3, 12), Sampling(temperature=0, no_repeat_ngram_size=2), 60, 20, 4),
            ((6, 5, 4), Sampling(temperature=0, repetition_penalty=1.3), 40, 0, 8),
        )
    ]  # fmt: skip


async def test_greedy_beams_are_those_of_transformers_in_any_company(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searches, and stories that come and go, in slots that each is given several times.

    As if all tokens were words: that one of several may be told again transformers does not know.
    """
    known = replace(loaded.vocabulary(), continuations=np.empty(0, np.int32))
    monkeypatch.setattr(LoadedModel, "vocabulary", lambda _: known)
    searches = some_searches()
    others = [
        Request(prompt=(seed + 1, 5), sampling=LIVELY, seed=seed, max_tokens=4 * seed + 1)
        for seed in range(12)
    ]
    async with Engine(loaded, slots=9) as engine:
        alone = [await tell(engine, other) for other in others]
        told = await asyncio.gather(*(tell(engine, one) for one in (*others, *searches, *others)))
    assert [*told[:12], *told[18:]] == alone * 2
    for search, (tokens, _) in zip(searches, told[12:18], strict=True):
        assert tuple(tokens) == by_transformers(loaded, search)[0]


@pytest.mark.parametrize(
    ("sampling", "beams"),
    [
        (Sampling(), 3),
        (Sampling(temperature=0.7, top_k=5), 2),
        (Sampling(temperature=1.3, top_p=0.95, repetition_penalty=1.2), 2),
    ],
    ids=["as it is", "top-k", "top-p"],
)
async def test_sampled_beams_are_found_as_often_as_by_transformers(
    words: Path, sampling: Sampling, beams: int
) -> None:
    loaded = load_model(words, precision="float32")
    search = Request(prompt=(2, 5), sampling=sampling, seed=0, max_tokens=3, num_beams=beams)
    torch.manual_seed(1)
    warped = sampling.model_dump(include={"temperature", "top_k", "top_p"})
    theirs = Counter(by_transformers(loaded, search, times=400, do_sample=True, **warped))
    async with Engine(loaded, slots=30, waiting=400) as engine:
        found = await asyncio.gather(
            *(tell(engine, replace(search, seed=seed)) for seed in range(400))
        )
    ours = Counter(tuple(tokens) for tokens, _ in found)
    often = [story for story, count in theirs.items() if count + ours[story] >= 10]
    table = [[count[story] for story in often] for count in (theirs, ours)]
    for row in table:
        row.append(400 - sum(row) + 1)  # rare ones together; 1: there may be none
    assert len(often) > 5
    assert chi2_contingency(table).pvalue > 1e-3


@pytest.mark.parametrize("sampling", [GREEDY, ARTICLE], ids=["greedy", "drawn"])
async def test_a_search_in_8_bits_is_the_same_alone_and_in_company(
    folder: Path, native_step: None, sampling: Sampling
) -> None:
    del native_step
    loaded = load_model(folder, precision="int8")
    search = Request(
        prompt=(5, 6, 7), sampling=sampling, seed=3, max_tokens=60, min_tokens=30, num_beams=5
    )
    other = Request(prompt=(5, 6), sampling=LIVELY, seed=3, max_tokens=90)
    async with Engine(loaded, slots=16) as engine:
        alone, other_alone = await tell(engine, search), await tell(engine, other)
        company = [other, search, other, replace(search, seed=4), other, search]
        told = await asyncio.gather(*(tell(engine, one) for one in company))
    assert [told[1], told[5]] == [alone] * 2
    assert [told[0], told[2], told[4]] == [other_alone] * 3
    assert len(alone[0]) >= 30
    assert (told[3] == alone) == (sampling == GREEDY)


def test_a_slot_goes_on_as_the_one_that_it_is_a_copy_of(folder: Path, precision: Any) -> None:
    """From where they part, at any place among what is kept together; and a slot never used."""
    decoder: Decoder = Engine(load_model(folder, precision=precision), slots=4)._stepper._decoder  # type: ignore[attr-defined]
    story = np.arange(1, 61, dtype=np.int32)

    def read(slots: list[int], start: int, *tokens: np.ndarray) -> torch.Tensor:
        counts = np.array([len(part) for part in tokens], np.int32)
        starts = np.full(len(slots), start, np.int32)
        return decoder.step(
            Batch(
                slots=np.array(slots, np.int32), starts=starts, counts=counts,
                tokens=np.concatenate(tokens),
            )
        ).clone()  # fmt: skip

    read([3, 1, 0], 0, story[:40], np.append(story[:21], story[25:50]), story[::-1].copy())
    decoder.copy(3, 1, 21, 40)
    decoder.copy(3, 0, 0, 40)
    decoder.copy(3, 2, 0, 40)
    for place in range(40, 60):
        logits = read([0, 1, 2, 3], place, *[story[place : place + 1]] * 4)
        for copied in logits[:3]:
            torch.testing.assert_close(
                copied, logits[3], atol=0 if precision == "int8" else 1e-4, rtol=0
            )


def test_what_a_slot_was_to_read_and_never_read_is_copied_too() -> None:
    """Though the story before it there began with the same tokens."""
    scheduler = Scheduler(slots=2, context=50)
    prompt = tuple(range(30))
    scheduler.release(scheduler.admit(prompt, 9))
    source = scheduler.admit(prompt, 9)
    scheduler.release(scheduler.admit(prompt, 9))
    target = scheduler.reserve()
    scheduler.plan()
    assert scheduler.copy(source, target) == (0, 30)
    scheduler.put(np.array([source, target], np.int32), np.array([40, 41], np.int32))
    assert len(scheduler.plan()[1]) == 2
    assert scheduler.copy(source, target) == (30, 31)


async def test_a_search_keeps_the_rules(folder: Path, precision: Any) -> None:
    loaded = load_model(folder, precision=precision)
    search = Request(
        prompt=(5, 6, 7), sampling=ARTICLE, seed=3, max_tokens=40, min_tokens=10, num_beams=5
    )
    async with Engine(loaded, slots=5) as engine:
        found, _ = await tell(engine, search)
        firsts: dict[bool, set[int]] = {False: set(), True: set()}
        for begin, seed in product(firsts, range(12)):
            one = replace(search, seed=seed, begin_word=begin, max_tokens=1, min_tokens=1)
            firsts[begin].update((await tell(engine, one))[0])
    inside = set(loaded.vocabulary().continuations.tolist())
    assert firsts[False] & inside
    assert not firsts[True] & inside
    assert 10 <= len(found) <= 40
    pairs = [*zip((5, 6, 7, *found), (6, 7, *found), strict=False)]
    pairs = [pair for pair in pairs if pair[1] not in inside]  # a word may be told again
    assert len(set(pairs)) == len(pairs)


@pytest.mark.parametrize("temperature", [0, 1])
async def test_a_search_goes_on_with_the_beams_that_its_rules_leave(
    words: Path, precision: Any, temperature: float
) -> None:
    """Six words; none may come twice, and the end not at all: after six there is no way on."""
    loaded = load_model(words, precision=precision)
    once = Request(
        prompt=(0,), sampling=Sampling(temperature=temperature, no_repeat_ngram_size=1), seed=1,
        max_tokens=50, min_tokens=50, num_beams=8,
    )  # fmt: skip
    narrow = replace(once, sampling=Sampling(temperature=temperature, top_k=1))
    async with Engine(loaded, slots=8) as engine:
        told, reason = await tell(engine, once)
        assert (sorted(told), reason) == ([2, 3, 4, 5, 6, 7], "length")
        assert len((await tell(engine, narrow))[0]) == 50
        assert engine.slots_in_use == 0


async def test_stories_are_told_and_let_in_while_a_search_is_under_way(
    endless: LoadedModel,
) -> None:
    engine = Engine(endless, slots=5)
    watched = Watched(engine)
    story = Request(prompt=(2,), sampling=LIVELY, seed=1, max_tokens=8)
    search = engine.submit(replace(story, prompt=(1,), max_tokens=120, num_beams=4))
    others = [engine.submit(replace(story, seed=seed)) for seed in range(5)]
    async with engine:
        for other in others:
            assert len([token async for tokens in other for token in tokens]) == 8
        assert len([token async for tokens in search for token in tokens]) == 120
    together = [len(step) for step in watched.steps]
    assert together[0] == 2  # the search's prompt is read once, in the first of its slots
    assert together[1:40] == [5] * 39  # all five stories were told in the slot that it left
    assert set(together[40:]) == {4}


async def test_a_search_waits_for_its_slots_while_others_pass_it(endless: LoadedModel) -> None:
    engine = Engine(endless, slots=2)
    watched = Watched(engine, halt=1)
    long = Request(prompt=(1,), sampling=LIVELY, seed=1, max_tokens=100)
    first = engine.submit(long)
    search = engine.submit(replace(long, num_beams=2, max_tokens=9))
    short = [engine.submit(replace(long, max_tokens=3)) for _ in range(3)]
    async with engine:
        await anext(first)
        assert (engine.slots_in_use, engine.waiting) == (2, 3)  # the first of the short ones is in
        watched.go_on()
        for passing in short[:2]:
            assert len([token async for tokens in passing for token in tokens]) == 3
        assert len([token async for tokens in search for token in tokens]) == 9
        assert len([token async for tokens in short[2] for token in tokens]) == 3
    assert engine.slots_in_use == 0
    # Two pass: the second slot is then kept free until the search has both.
    together = [len(step) for step in watched.steps]
    assert together == [2] * 6 + [1] * 94 + [1] + [2] * 8 + [1] * 3


async def test_a_search_that_is_called_off_frees_all_its_slots(endless: LoadedModel) -> None:
    engine = Engine(endless, slots=4)
    watched = Watched(engine, halt=3)
    request = Request(prompt=(1,), sampling=LIVELY, seed=1, max_tokens=120, num_beams=4)
    async with engine:
        search = engine.submit(request)
        await watched.halted()
        assert engine.slots_in_use == 4
        search.cancel()
        watched.go_on()
        assert [tokens async for tokens in search] == []
        assert search.finish_reason is None
        told = await asyncio.gather(
            *(tell(engine, replace(request, num_beams=1, max_tokens=5)) for _ in range(4))
        )
        assert [len(tokens) for tokens, _ in told] == [5] * 4
        assert engine.slots_in_use == 0


async def test_more_beams_than_slots_are_refused(endless: LoadedModel) -> None:
    request = Request(prompt=(1,), sampling=LIVELY, seed=1, max_tokens=120, num_beams=3)
    async with Engine(endless, slots=2) as engine:
        with pytest.raises(ValueError, match="a slot for each beam"):
            engine.submit(request)


async def test_closing_ends_searches_with_an_error_that_says_so(endless: LoadedModel) -> None:
    request = Request(prompt=(1,), sampling=LIVELY, seed=1, max_tokens=120, num_beams=4)
    engine = Engine(endless, slots=4)
    watched = Watched(engine, halt=2)
    async with engine:
        searches = [engine.submit(request) for _ in range(3)]
        await watched.halted()
        asyncio.get_running_loop().call_soon(watched.go_on)  # once the engine knows of its end
    for search in searches:
        with pytest.raises(EngineError, match="closing"):
            _ = [tokens async for tokens in search]


async def test_a_failed_step_ends_its_searches_and_frees_their_slots(
    endless: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    request = Request(prompt=(1,), sampling=LIVELY, seed=1, max_tokens=20, num_beams=3)
    engine = Engine(endless, slots=3)
    watched = Watched(engine, halt=3)
    async with engine:
        search = engine.submit(request)
        await watched.halted()
        watched.fail = True
        watched.go_on()
        with pytest.raises(EngineError, match="failed"):
            _ = [tokens async for tokens in search]
        watched.fail = False
        assert len((await tell(engine, request))[0]) == 20
        assert engine.slots_in_use == 0
    assert "the model broke" in caplog.text


async def test_searches_beyond_the_slots_wait_like_other_stories(words: Path) -> None:
    """What counts is how many stories there are, and not how many slots they hold."""
    request = Request(prompt=(2,), sampling=GREEDY, seed=1, max_tokens=3, num_beams=4)
    async with Engine(load_model(words, precision="float32"), slots=4, waiting=5) as engine:
        watched = Watched(engine, halt=0)
        stories = [engine.submit(request)]
        await watched.halted()  # it holds all slots
        stories += [engine.submit(request) for _ in range(8)]
        with pytest.raises(SlotsFullError, match="8 stories wait"):
            engine.submit(request)
        watched.go_on()
        for story in stories:
            assert [token async for tokens in story for token in tokens]
