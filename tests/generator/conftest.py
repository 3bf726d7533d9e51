"""For all tests of the generator: small models, and a server that tells from them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aiohttp
import pytest
import pytest_asyncio
import torch

from generator import native
from generator.models.loading import LoadedModel, load_model
from tests.generator.running import client, running
from tests.generator.small_folders import save_gpt2, save_lstm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import openai

    from generator.models.choosing import Precision

torch.set_num_threads(1)  # the models are tiny: a second thread only waits, and costs a lot of it


@pytest.fixture(scope="session")
def native_step() -> None:
    """Skips where there is no compiled step: no compiler, or NATIVE_ISA=off."""
    try:
        native.library()
    except native.NoNativeStepError as error:
        pytest.skip(str(error))


@pytest.fixture(params=["float32", "int8"])
def precision(request: pytest.FixtureRequest) -> Precision:
    if request.param == "int8":
        request.getfixturevalue("native_step")
    chosen: Precision = request.param
    return chosen


@pytest.fixture(scope="module", params=["gpt2", "lstm"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    save = {"gpt2": save_gpt2, "lstm": save_lstm}[request.param]
    return load_model(save(tmp_path_factory.mktemp("models") / request.param), precision="float32")


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A tiny GPT-2 whose stories end by their length only."""
    folder = tmp_path_factory.mktemp("models") / "endless"
    return load_model(save_gpt2(folder, n_embd=16, n_layer=1, n_head=1, eos_token_id=None))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models")
    gpt2 = save_gpt2(place / "gpt2-small", n_positions=512)
    (gpt2 / "generation_config.json").write_text(
        json.dumps({"eos_token_id": 0, "max_new_tokens": 7, "temperature": 0.0})
    )
    save_lstm(place / "lstm-small")
    save_lstm(place / "lstm-endless", max_position_embeddings=1_000_000)
    (place / "no-model").mkdir()
    return place


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(models: Path) -> AsyncIterator[str]:
    async with running(models, slots=4, waiting=8) as address:
        yield address


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(address: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client(address) as api:
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(address: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(address) as session:
        yield session
