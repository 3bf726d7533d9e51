"""Stories that are told together, token by token: all of them, each as if alone."""

from __future__ import annotations

import asyncio
import gc
import random
import resource
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from generator.engine.errors import EngineError, SlotsFullError
from generator.engine.loop import Engine
from generator.engine.scheduler import PREFILL_BESIDE, Scheduler
from generator.models.loading import LoadedModel, load_model
from generator.sampling.requests import Request
from generator.sampling.settings import Sampling
from tests.generator.engines import GREEDY, LIVELY, Watched, tell
from tests.generator.small_folders import VOCABULARY, save_gpt2, save_words
from tests.generator.small_models import byte_level_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from generator.engine.generation import Generation
    from generator.models.choosing import Precision


def some_prompts(count: int, longest: int, seed: int = 1) -> list[tuple[int, ...]]:
    rng = random.Random(seed)
    return [
        tuple(rng.randrange(1, VOCABULARY) for _ in range(rng.randint(1, longest)))
        for _ in range(count)
    ]


def favour(folder: Path, tokens: list[int], much: float) -> None:
    """Makes tokens of a GPT-2 likely, the more they are alike."""
    weights = load_file(folder / "model.safetensors")
    towards = weights["transformer.wte.weight"][tokens].mean(0)
    weights["transformer.ln_f.bias"] += much * towards
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def follows(loaded: LoadedModel, prompt: tuple[int, ...], told: list[int]) -> list[int]:
    """What the greedy reference says after the prompt and after each token told."""
    with torch.inference_mode():
        logits = loaded.model(input_ids=torch.tensor([[*prompt, *told]])).logits[0]
        logits[:, loaded.suppressed()] = -torch.inf
    choices: list[int] = logits[len(prompt) - 1 :].argmax(1).tolist()
    return choices


async def test_greedy_stories_are_those_of_transformers(loaded: LoadedModel) -> None:
    prompts = some_prompts(80, longest=100)
    async with Engine(loaded, slots=32, waiting=80) as engine:
        told = await asyncio.gather(
            *(
                tell(engine, Request(prompt=prompt, sampling=GREEDY, seed=0, max_tokens=16))
                for prompt in prompts
            )
        )
    for prompt, (tokens, reason) in zip(prompts, told, strict=True):
        *choices, after = follows(loaded, prompt, tokens)
        assert tokens == choices
        assert (after in loaded.ends) if reason == "stop" else len(tokens) == 16


async def test_a_story_is_the_same_alone_in_a_crowd_and_joining_late(loaded: LoadedModel) -> None:
    request = Request(prompt=(5, 6, 7, 8), sampling=LIVELY, seed=11, max_tokens=60)
    crowd = [
        Request(prompt=prompt, sampling=LIVELY, seed=seed, max_tokens=100)
        for seed, prompt in enumerate(some_prompts(31, longest=40))
    ]
    async with Engine(loaded, slots=32) as engine:
        alone = await tell(engine, request)
        together, *_ = await asyncio.gather(*(tell(engine, one) for one in [request, *crowd]))
        running = [engine.submit(one) for one in crowd]
        await anext(running[0])
        late = await tell(engine, request)
        for generation in running:
            generation.cancel()
        other = await tell(
            engine, Request(prompt=(5, 6, 7, 8), sampling=LIVELY, seed=12, max_tokens=60)
        )
    assert alone == together == late
    assert alone != other


async def test_a_story_ends_with_the_context(loaded: LoadedModel) -> None:
    request = Request(prompt=(5,) * 120, sampling=LIVELY, seed=1, max_tokens=50, min_tokens=50)
    async with Engine(loaded, slots=1) as engine:
        told, reason = await tell(engine, request)
    assert (len(told), reason) == (loaded.context - 120, "length")


async def test_a_cancelled_story_takes_part_in_no_more_than_the_step_under_way(
    endless: LoadedModel,
) -> None:
    engine = Engine(endless, slots=2)
    watched = Watched(engine, halt=1)
    stays = engine.submit(Request(prompt=(1,), sampling=LIVELY, seed=1, max_tokens=120))
    leaves = engine.submit(Request(prompt=(2,), sampling=LIVELY, seed=2, max_tokens=120))
    async with engine:
        await anext(leaves)
        leaves.cancel()
        watched.go_on()
        async for _ in stays:
            pass
        assert 1 in watched.steps[0]
        assert all(1 not in step for step in watched.steps[2:])
        assert leaves.finish_reason is None
        assert engine.slots_in_use == 0


async def test_a_cancelled_story_leaves_the_queue(endless: LoadedModel) -> None:
    engine = Engine(endless, slots=1, waiting=2)
    watched = Watched(engine, halt=1)
    async with engine:
        told = engine.submit(Request(prompt=(1,), sampling=LIVELY, seed=1, max_tokens=120))
        await anext(told)
        waits = engine.submit(Request(prompt=(2,), sampling=LIVELY, seed=1, max_tokens=120))
        assert engine.waiting == 1
        waits.cancel()
        assert engine.waiting == 0
        watched.go_on()
        assert [tokens async for tokens in waits] == []


async def test_no_more_stories_wait_than_may(endless: LoadedModel) -> None:
    request = Request(prompt=(1,), sampling=LIVELY, seed=1, max_tokens=120)
    engine = Engine(endless, slots=2, waiting=3)
    watched = Watched(engine, halt=0)
    async with engine:
        stories = [engine.submit(request) for _ in range(5)]
        with pytest.raises(SlotsFullError, match="wait already"):
            engine.submit(request)
        for story in stories:
            story.cancel()
        watched.go_on()
        assert len((await tell(engine, request))[0]) == 120


async def test_closing_ends_stories_with_an_error_that_says_so(endless: LoadedModel) -> None:
    request = Request(prompt=(1,), sampling=LIVELY, seed=1, max_tokens=120)
    engine = Engine(endless, slots=1)
    watched = Watched(engine, halt=1)
    async with engine:
        told, waits = engine.submit(request), engine.submit(request)
        await anext(told)
        asyncio.get_running_loop().call_soon(watched.go_on)  # once the engine knows of its end
    for generation in (told, waits):
        with pytest.raises(EngineError, match="closing"):
            _ = [tokens async for tokens in generation]
    with pytest.raises(EngineError, match="closing"):
        engine.submit(request)


async def test_a_failed_step_ends_its_stories_and_not_the_engine(
    endless: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    request = Request(prompt=(1,), sampling=LIVELY, seed=1, max_tokens=20)
    engine = Engine(endless, slots=2)
    watched = Watched(engine)
    watched.fail = True
    async with engine:
        with pytest.raises(EngineError, match="failed"):
            await tell(engine, request)
        watched.fail = False
        assert len((await tell(engine, request))[0]) == 20
    assert "the model broke" in caplog.text


async def test_ten_thousand_random_stories_leave_nothing_behind(endless: LoadedModel) -> None:
    rng = random.Random(2)
    alive: weakref.WeakSet[Generation] = weakref.WeakSet()
    memory: list[int] = []
    done = 0

    async def member(engine: Engine) -> None:
        nonlocal done
        while done < 10_000:
            done += 1
            request = Request(
                prompt=(1 + done % 500,) * rng.randint(1, 20),
                sampling=LIVELY,
                seed=done,
                max_tokens=rng.randint(1, 8),
            )
            generation = engine.submit(request)
            alive.add(generation)
            patience = rng.randint(0, 12)  # some leave early, some before the first word
            async for tokens in generation:
                patience -= len(tokens)
                if patience < 0:
                    generation.cancel()
            if done in (5_000, 10_000):
                memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    async with Engine(endless, slots=24, waiting=72) as engine:
        await asyncio.gather(*(member(engine) for _ in range(48)))
        # One more story drives out those that were cancelled last.
        await tell(engine, Request(prompt=(1,), sampling=LIVELY, seed=1, max_tokens=3))
        assert (engine.slots_in_use, engine.waiting) == (0, 0)
        assert engine._scheduler.free == 24
        assert not engine._active
        assert not engine._outbox
        gc.collect()
        assert len(alive) == 0
    assert memory[-1] <= memory[0] * 1.02


async def test_no_story_has_an_unknown_word(tmp_path: Path, precision: Precision) -> None:
    folder = save_gpt2(tmp_path / "words", vocab_size=9, eos_token_id=8)
    save_words(folder)
    favour(folder, [0], 5)  # the unknown word
    loaded = load_model(folder, precision=precision)
    request = Request(prompt=(2, 3), sampling=Sampling(), seed=1, max_tokens=120, min_tokens=120)
    async with Engine(loaded, slots=3) as engine:
        for beams in (1, 3):
            told, _ = await tell(engine, replace(request, num_beams=beams))
            assert set(told) <= {2, 3, 4, 5, 6, 7}
            assert len(told) == 120


async def test_a_resized_model_says_only_what_its_tokenizer_knows(
    tmp_path: Path, precision: Precision
) -> None:
    nameless = [*range(byte_level_tokenizer().get_vocab_size(), VOCABULARY)]
    assert len(nameless) > 64
    folder = save_gpt2(tmp_path / "resized")
    favour(folder, nameless, 20)
    loaded = load_model(folder, precision=precision)
    request = Request(prompt=(5, 6), sampling=Sampling(), seed=1, max_tokens=120)
    told: list[int] = []
    async with Engine(loaded, slots=3) as engine:
        for sampling in (Sampling(), GREEDY, Sampling(top_k=5)):
            told += (await tell(engine, replace(request, sampling=sampling)))[0]
        told += (await tell(engine, replace(request, num_beams=3, max_tokens=20)))[0]
    assert told
    assert not set(told) & set(nameless)


@pytest.mark.parametrize("length", [0, 128, 200])
async def test_a_prompt_without_room_is_refused(endless: LoadedModel, length: int) -> None:
    async with Engine(endless, slots=1) as engine:
        with pytest.raises(ValueError, match="leave room"):
            engine.submit(Request(prompt=(1,) * length, sampling=LIVELY, seed=1, max_tokens=9))


async def test_a_story_that_cannot_begin_is_told_so_and_nobody_else_notices(
    endless: LoadedModel,
) -> None:
    """Whether its rules cannot be kept or its prompt, in one slot or in several."""
    request = Request(prompt=(1, 2), sampling=LIVELY, seed=1, max_tokens=30)
    rules = replace(request, sampling=Sampling.model_construct(top_k=2**40))
    prompt = replace(request, prompt=(1, 2**40))
    impossible = [rules, prompt, *(replace(one, num_beams=3) for one in (rules, prompt))]
    async with Engine(endless, slots=4) as engine:
        alone, _ = await tell(engine, request)
        watched = Watched(engine, halt=5)
        told = asyncio.create_task(tell(engine, request))
        await watched.halted()
        stories = [engine.submit(one) for one in impossible]
        watched.go_on()
        for story in stories:
            with pytest.raises(EngineError, match="could not begin"):
                await anext(story)
        assert await told == (alone, "length")
        assert len((await tell(engine, request))[0]) == 30
        assert (engine.slots_in_use, engine.waiting) == (0, 0)


def test_memory_is_the_weights_once_and_a_share_for_each_slot(loaded: LoadedModel) -> None:
    one, two, four = (Engine(loaded, slots=slots).memory for slots in (1, 2, 4))
    assert two > one
    assert four - two == 2 * (two - one)
    assert one - (two - one) == sum(weight.nbytes for weight in loaded.model.parameters())


def test_a_long_prompt_keeps_nobody_waiting() -> None:
    scheduler = Scheduler(slots=8, context=1000)
    for _ in range(3):
        scheduler.admit((1,), 900)
    scheduler.plan()
    newcomer = scheduler.admit(tuple(range(600)), 9)
    read = 0
    while read < 600:
        scheduler.extend(np.arange(3, dtype=np.int32))
        batch, ready = scheduler.plan()
        counts = dict(zip(batch.slots.tolist(), batch.counts.tolist(), strict=True))
        assert [counts[told] for told in range(3)] == [1, 1, 1]
        assert set(batch.slots[ready].tolist()) >= {0, 1, 2}
        assert 0 < counts[newcomer] <= PREFILL_BESIDE
        run = batch.tokens[batch.ends[-1] - counts[newcomer] : batch.ends[-1]]
        assert np.array_equal(run, np.arange(read, read + counts[newcomer]))
        read += counts[newcomer]
    assert newcomer in batch.slots[ready]
