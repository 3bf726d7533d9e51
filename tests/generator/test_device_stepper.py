"""The step of a GPU, without its graph: the same functions on a processor, beside the reference."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from generator.engine.loop import Engine
from generator.models.loading import LoadedModel, load_model
from generator.sampling.requests import Request
from generator.sampling.settings import Sampling
from tests.generator.small_folders import save_gpt2, save_llama, save_lstm
from tests.generator.some_stories import GREEDY, LIVELY, some_requests, tell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from generator.models.decoder import Batch, Ints
    from generator.models.device_stepper import DeviceStepper, Flight


SAVES: dict[str, Callable[[Path], Path]] = {
    "gpt2": save_gpt2,
    "llama": partial(save_llama, num_hidden_layers=2),
    "lstm": save_lstm,
}
each_kind = pytest.mark.parametrize("loaded", SAVES, indirect=True, scope="module")
"""For what hangs on how a model reads; a Llama's slots come and go like a GPT-2's."""


@pytest.fixture(scope="module", params=["gpt2", "lstm"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(
        SAVES[request.param](tmp_path_factory.mktemp("models") / request.param),
        device="cpu",
        precision="float32",
    )


def engine_ahead(loaded: LoadedModel, slots: int, waiting: int = 64) -> Engine:
    """One that launches steps before it knows the tokens of the last."""
    engine = Engine(loaded, slots=slots, waiting=waiting)
    engine._stepper = loaded.device_stepper(engine._rules, engine._stepper.searcher, fused=False)
    return engine


@pytest.mark.parametrize(
    ("loaded", "sampling"),
    [("gpt2", GREEDY), ("gpt2", LIVELY), ("llama", LIVELY), ("lstm", GREEDY), ("lstm", LIVELY)],
    indirect=["loaded"],
    ids=["gpt2-greedy", "gpt2-drawn", "llama-drawn", "lstm-greedy", "lstm-drawn"],
    scope="module",
)
async def test_its_stories_are_those_of_the_reference(
    loaded: LoadedModel, sampling: Sampling
) -> None:
    """More stories than slots, so that each slot is used often, with prompts of several chunks."""
    requests = some_requests(50, sampling)
    told = []
    for engine in (Engine(loaded, slots=8, waiting=50), engine_ahead(loaded, 8, waiting=50)):
        async with engine:
            told.append(await asyncio.gather(*(tell(engine, request) for request in requests)))
    same = sum(one == other for one, other in zip(*told, strict=True))
    assert same >= 49  # products of other sizes may round otherwise in their last digits


async def test_hundreds_of_stories_that_come_and_go_are_each_told_as_if_alone(
    loaded: LoadedModel,
) -> None:
    """Cancelled ones free their slot while a step is under way that still draws for them."""
    rng = random.Random(7)
    requests = some_requests(40, LIVELY, prompt=20)
    engine = engine_ahead(loaded, 6)
    async with engine:
        alone = [await tell(engine, request) for request in requests]
        done = 0

        async def member() -> int:
            nonlocal done
            wrong = 0
            while done < 300:
                done += 1
                which = rng.randrange(len(requests))
                generation = engine.submit(requests[which])
                patience = rng.choice([rng.randint(0, 5), 1000])
                told: list[int] = []
                async for tokens in generation:
                    told += tokens
                    if len(told) > patience:
                        generation.cancel()
                wrong += told != alone[which][0][: len(told)]
                if generation.finish_reason is not None:
                    wrong += (told, generation.finish_reason) != alone[which]
            return wrong

        assert sum(await asyncio.gather(*(member() for _ in range(12)))) == 0
        await tell(engine, requests[0])  # drives out those that were cancelled last
        assert engine.slots_in_use == 0
        assert not engine._active


@each_kind
async def test_beams_are_found_beside_stories_as_by_the_reference(loaded: LoadedModel) -> None:
    """Whose slots lie idle while their step is not known, and are copied between two others."""
    searches = [
        replace(request, num_beams=beams, min_tokens=request.max_tokens // 2)
        for beams, request in enumerate(some_requests(6, GREEDY, tokens=40), 2)
    ]
    others = some_requests(20, LIVELY, prompt=20, tokens=30)
    told = []
    for engine in (Engine(loaded, slots=10), engine_ahead(loaded, 10)):
        async with engine:
            told.append(await asyncio.gather(*(tell(engine, one) for one in (*others, *searches))))
        assert engine.slots_in_use == 0
    same = sum(one == other for one, other in zip(*told, strict=True))
    assert same >= 25  # products of other sizes may round otherwise in their last digits


class Late:
    """A stepper that counts how many steps were looked at after the next one was launched."""

    def __init__(self, stepper: DeviceStepper) -> None:
        self._stepper = stepper
        self.ahead, self.memory = stepper.ahead, stepper.memory
        self.searcher, self.copy = stepper.searcher, stepper.copy
        self.launched = 0
        self.late = 0

    def launch(self, batch: Batch, ready: Ints, lengths: Ints, scored: Ints) -> Collected:
        self.launched += 1
        return Collected(self, self._stepper.launch(batch, ready, lengths, scored))


class Collected:
    def __init__(self, stepper: Late, flight: Flight) -> None:
        self._stepper, self._flight = stepper, flight
        self._number = stepper.launched
        self.logprobs = flight.logprobs

    def collect(self) -> Ints:
        self._stepper.late += self._stepper.launched > self._number
        return self._flight.collect()


async def test_tokens_are_looked_at_while_the_next_step_runs(loaded: LoadedModel) -> None:
    engine = engine_ahead(loaded, 2)
    engine._stepper = late = Late(engine._stepper)  # type: ignore[arg-type]  # a device's stepper
    request = Request(prompt=(5, 6), sampling=GREEDY, seed=0, max_tokens=50, min_tokens=50)
    async with engine:
        told, _ = await tell(engine, request)
    assert len(told) == 50
    assert late.launched == 50  # by its length a story is known to end
    assert late.late == 49


async def test_a_reused_slot_gets_no_token_of_the_story_before(loaded: LoadedModel) -> None:
    """One slot: each end is known one step late, when the slot has drawn once more."""
    requests = [
        Request(prompt=(token, 9), sampling=Sampling(temperature=1.5), seed=token, max_tokens=40)
        for token in range(1, 21)
    ]
    often = replace(loaded, ends=tuple(range(64)))  # an eighth of all tokens
    reference = Engine(often, slots=1, waiting=20)
    async with engine_ahead(often, 1, waiting=20) as engine, reference:
        told = await asyncio.gather(*(tell(engine, request) for request in requests))
        expected = await asyncio.gather(*(tell(reference, request) for request in requests))
    assert told == expected
    assert sum(reason == "stop" for _, reason in told) > 10


@each_kind
def test_what_it_keeps_is_counted(loaded: LoadedModel) -> None:
    engine = engine_ahead(loaded, 3)
    rows, sampler = engine._stepper._rows, engine._stepper._sampler  # type: ignore[attr-defined]
    assert engine._stepper.memory == rows.memory + sampler.memory
    assert sampler.memory > 4 * 3 * loaded.context


def test_matrices_that_are_joined_are_no_second_copy(tmp_path: Path) -> None:
    """Of a Llama; not in transformers' own model of it either."""
    loaded = load_model(save_llama(tmp_path / "small"), device="cpu", precision="float32")
    theirs: torch.nn.Module = loaded.model
    engine = engine_ahead(loaded, 2)
    ours, transformers = (
        {part.untyped_storage().data_ptr(): part.untyped_storage().nbytes() for part in parts}
        for parts in (loaded.weights.parameters(), theirs.parameters())
    )
    assert ours == transformers
    assert sum(ours.values()) == loaded.memory
    rows = engine._stepper._rows  # type: ignore[attr-defined]  # a device's stepper
    assert {weight.data_ptr() for weight, _ in [*rows._mixing, *rows._opening]} <= set(ours)


@each_kind
def test_an_idle_row_changes_nothing_of_a_story_under_way(loaded: LoadedModel) -> None:
    """A newcomer's prompt is read in pieces while another story goes on and its own row idles."""
    engine = engine_ahead(loaded, 2)
    scheduler, stepper = engine._scheduler, engine._stepper
    long = tuple(range(1, 90))
    told = []
    for beside in (False, True):
        engine._rules.put(0, Request(prompt=long, sampling=GREEDY, seed=0, max_tokens=1))
        engine._rules.put(1, Request(prompt=(3,), sampling=GREEDY, seed=0, max_tokens=100))
        slot = scheduler.admit(long, 1)
        if beside:
            scheduler.admit((3,), 100)
        while scheduler.lengths[slot] == len(long):
            batch, ready = scheduler.plan()
            flight = stepper.launch(batch, ready, scheduler.lengths, np.empty(0, np.int32))
            drawn = dict(zip(batch.slots[ready].tolist(), flight.collect().tolist(), strict=True))
            scheduler.extend(batch.slots[ready])
        told.append(drawn[slot])
        for used in (0, 1)[: 1 + beside]:
            scheduler.release(used)
    assert told[0] == told[1]
    assert isinstance(told[0], int)
    assert torch.is_inference_mode_enabled() is False
    assert np.all(scheduler.lengths == 0)


@each_kind
async def test_log_probabilities_are_those_of_the_reference(loaded: LoadedModel) -> None:
    """Of prompts, which are then read token by token, and of stories; beside others."""
    requests = [
        replace(
            request,
            logprobs=[None, 0, 3][number % 3],
            prompt_logprobs=number % 3 == 2,
            max_tokens=number % 5,
        )
        for number, request in enumerate(some_requests(30, GREEDY, prompt=40))
    ]
    told = []
    for engine in (Engine(loaded, slots=4), engine_ahead(loaded, 4)):
        async with engine:
            generations = [engine.submit(request) for request in requests]
            for generation in generations:
                async for _ in generation:
                    pass
        told.append([generation.logprobs for generation in generations])
    for reference, ours in zip(*told, strict=True):
        assert [one.token for one in ours] == [one.token for one in reference]
        for one, other in zip(ours, reference, strict=True):
            assert one.logprob == pytest.approx(other.logprob, abs=1e-4)
            assert [token for token, _ in one.likeliest] == [token for token, _ in other.likeliest]
    assert sum(len(ours) for ours in told[1]) > 100
