"""A story on a GPU, by one CUDA graph a step: skipped where there is no GPU."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch

from generator.engine.loop import Engine
from generator.models.device_stepper import DeviceStepper
from generator.models.loading import LoadedModel, load_model
from generator.models.stepper import EagerStepper
from generator.sampling.requests import Request
from generator.sampling.settings import Sampling
from generator.sampling.torch_sampler import TorchSampler
from tests.generator.small_folders import save_gpt2, save_llama, save_lstm
from tests.generator.some_stories import GREEDY, LIVELY, some_requests, tell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


SAVES: dict[str, Callable[[Path], Path]] = {
    "gpt2": save_gpt2,
    "llama": save_llama,
    "lstm": save_lstm,
    "qwen2": partial(save_llama, kind="qwen2"),
}


@pytest.fixture(scope="module", params=SAVES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return SAVES[request.param](tmp_path_factory.mktemp("models") / request.param)


def eager(loaded: LoadedModel, slots: int) -> Engine:
    engine = Engine(loaded, slots=slots, waiting=200)
    sampler = TorchSampler(engine._rules, engine._scheduler.history, loaded.vocabulary())
    engine._stepper = EagerStepper(loaded._decoder(slots), sampler)
    return engine


@pytest.mark.parametrize("sampling", [GREEDY, LIVELY], ids=["greedy", "drawn"])
async def test_the_graph_tells_what_the_reference_tells(
    folder: Path, sampling: Sampling, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = load_model(folder, device="cuda", precision="float32")
    requests = some_requests(100, sampling, prompt=90, tokens=30)
    told = []
    with caplog.at_level(logging.WARNING):
        graph = Engine(loaded, slots=16, waiting=200)
    assert isinstance(graph._stepper, DeviceStepper), caplog.text
    for engine in (graph, eager(loaded, 16)):
        async with engine:
            told.append(await asyncio.gather(*(tell(engine, request) for request in requests)))
    assert sum(one == other for one, other in zip(*told, strict=True)) >= 95


async def test_a_story_is_the_same_alone_and_in_company(folder: Path) -> None:
    """To the token, in bfloat16 too, as each step has the same shapes."""
    loaded = load_model(folder, device="cuda")
    requests = some_requests(60, LIVELY, prompt=90, tokens=30)
    async with Engine(loaded, slots=16, waiting=200) as engine:
        alone = [await tell(engine, request) for request in requests]
        together = await asyncio.gather(*(tell(engine, request) for request in requests))
    assert together == alone


async def test_log_probabilities_are_those_of_the_model(folder: Path) -> None:
    """Before any rule, also those that strike tokens out; of a prompt and of what is drawn."""
    loaded = load_model(folder, device="cuda", precision="float32")
    prompt = tuple(range(1, 40))
    rules = Sampling(temperature=0.9, repetition_penalty=1.3, no_repeat_ngram_size=1)
    request = Request(
        prompt=prompt,
        sampling=rules,
        seed=3,
        max_tokens=20,
        min_tokens=20,
        logprobs=1,
        prompt_logprobs=True,
    )
    silent = replace(request, logprobs=None, prompt_logprobs=False)
    async with Engine(loaded, slots=4) as engine:
        scored, beside = engine.submit(request), engine.submit(silent)
        told = [[token async for tokens in one for token in tokens] for one in (scored, beside)]
    assert told[0] == told[1]
    with torch.inference_mode():
        tokens = torch.tensor([[*prompt, *told[0]]], device="cuda")
        expected = loaded.model(input_ids=tokens).logits[0].float().log_softmax(1).cpu()
    assert [one.token for one in scored.logprobs] == [*prompt[1:], *told[0]]
    for one, row in zip(scored.logprobs, expected, strict=False):
        assert one.logprob == pytest.approx(float(row[one.token]), abs=0.02)
        assert one.likeliest[0][1] == pytest.approx(float(row.max()), abs=0.02)


async def test_a_graph_that_cannot_be_captured_is_one_warning_and_the_reference(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    loaded = load_model(folder, device="cuda")
    engine = Engine(loaded, slots=2)
    assert isinstance(engine._stepper, EagerStepper)
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "without a CUDA graph, slower: operation not permitted" in record.message
    async with engine:
        request = Request(prompt=(5, 6), sampling=LIVELY, seed=1, max_tokens=9, min_tokens=9)
        assert len((await tell(engine, request))[0]) == 9
