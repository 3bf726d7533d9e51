from __future__ import annotations

import asyncio
import gc
import json
import math
import os
import shutil
import threading
import weakref
from functools import cache
from typing import TYPE_CHECKING

import pytest
from safetensors.torch import load_file, save_file

from generator.config import EngineSettings
from generator.engine.errors import (
    BrokenModelError,
    ClosedError,
    ModelTooLargeError,
    NoRoomError,
)
from generator.engine.loop import Engine
from generator.engine.registry import GIB, Registry
from generator.models.loading import load_model
from generator.models.sizing import least_memory
from generator.sampling.requests import Request
from generator.sampling.settings import Sampling
from tests.generator.small_folders import save_gpt2, save_llama, save_lstm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from generator.models.choosing import Precision


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models")
    for name in ("a", "b", "c"):
        save_gpt2(place / name)
    return place


@cache
def memory(folder: Path) -> int:
    """Bytes that a model takes with all slots of the default settings."""
    return Engine(load_model(folder), slots=EngineSettings().slots).memory


def registry_for(models: Path, count: float) -> Registry:
    """A registry with room for so many of the models."""
    return Registry(EngineSettings(models=models, memory=count * memory(models / "a") / GIB))


@pytest.fixture
async def registry(models: Path) -> AsyncIterator[Registry]:
    registry = registry_for(models, 2.5)
    yield registry
    await registry.close()


def loaded(registry: Registry) -> list[str]:
    return [resident.name for resident in registry.residents]


async def test_at_start_there_is_what_fits(registry: Registry) -> None:
    await registry.load_all()
    assert loaded(registry) == ["a", "b"]


async def test_the_longest_unused_makes_room(registry: Registry) -> None:
    await registry.load_all()
    async with registry.borrow("a"):
        pass
    async with registry.borrow("c"):
        assert loaded(registry) == ["a", "c"]


async def test_a_borrowed_model_stays(registry: Registry) -> None:
    async with registry.borrow("a"), registry.borrow("b"):
        with pytest.raises(NoRoomError):
            await registry.load("c")
    await registry.load("c")
    assert loaded(registry) == ["b", "c"]


async def test_those_who_ask_together_wait_for_one_load(registry: Registry) -> None:
    async def borrow(name: str) -> int:
        async with registry.borrow(name) as resident:
            return id(resident)

    first, second, other = await asyncio.gather(borrow("a"), borrow("a"), borrow("b"))
    assert first == second != other


async def test_two_models_with_room_for_one_do_not_drive_each_other_out(models: Path) -> None:
    registry = registry_for(models, 1.5)
    for name in ("a", "b"):  # so that it is known what they take
        await registry.load(name)
        await registry.unload(name)
    told = asyncio.Event()

    async def borrow(name: str) -> None:
        async with registry.borrow(name):
            await told.wait()

    first, second = asyncio.create_task(borrow("a")), asyncio.create_task(borrow("b"))
    with pytest.raises(NoRoomError, match="no room for the model b"):
        await second
    assert loaded(registry) == ["a"]
    told.set()
    await first
    await borrow("b")
    await registry.close()


async def test_a_folder_that_breaks_in_an_unforeseen_way_stops_no_other(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        save_gpt2(tmp_path / name)
    (tmp_path / "a" / "model.safetensors").unlink()
    (tmp_path / "a" / "model.safetensors").symlink_to("nowhere")
    config = json.loads((tmp_path / "b" / "config.json").read_text())
    (tmp_path / "b" / "config.json").write_text(json.dumps(config | {"n_embd": "64"}))
    registry = Registry(EngineSettings(models=tmp_path))
    await registry.load_all()
    assert loaded(registry) == ["c"]
    with pytest.raises(BrokenModelError, match="The model a cannot be loaded"):
        await registry.load("a")
    await registry.close()


@pytest.mark.parametrize("precision", ["float32", "int8"], indirect=True)
@pytest.mark.parametrize("save", [save_gpt2, save_llama, save_lstm])
async def test_a_model_of_no_numbers_is_not_served(
    tmp_path: Path, save: Callable[[Path], Path], precision: Precision
) -> None:
    """A training that went wrong leaves one; it told any letters, and at no temperature none."""
    folder = save(tmp_path / "teller")
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: tensor.fill_(math.nan) for name, tensor in weights.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    registry = Registry(EngineSettings(models=tmp_path, precision=precision))
    with pytest.raises(BrokenModelError, match=r"teller cannot be loaded: .* no numbers \(NaN\)"):
        await registry.load("teller")
    assert "engine" not in {thread.name for thread in threading.enumerate()}
    await registry.close()


async def test_a_model_that_has_room_for_no_token_is_not_served(tmp_path: Path) -> None:
    save_lstm(tmp_path / "teller", max_position_embeddings=1)
    registry = Registry(EngineSettings(models=tmp_path))
    with pytest.raises(BrokenModelError, match=r"teller cannot be loaded: it cannot tell a token"):
        await registry.load("teller")
    await registry.close()


async def test_one_who_leaves_does_not_end_the_load_for_others(registry: Registry) -> None:
    leaving = asyncio.create_task(registry.load("a"))
    staying = asyncio.create_task(registry.load("a"))
    await asyncio.sleep(0)  # both have asked
    leaving.cancel()
    await staying
    assert loaded(registry) == ["a"]


async def test_unloading_lets_stories_end_first(registry: Registry) -> None:
    async with registry.borrow("a") as resident:
        unloading = asyncio.create_task(registry.unload("a"))
        generation = resident.engine.submit(
            Request(prompt=(5,), sampling=Sampling(), seed=1, max_tokens=100, min_tokens=100)
        )
        assert len([token async for tokens in generation for token in tokens]) == 100
        assert not unloading.done()
    await unloading
    assert loaded(registry) == []
    await registry.unload("a")
    await registry.load("a")
    assert loaded(registry) == ["a"]


async def test_a_host_who_leaves_does_not_end_the_unloading(registry: Registry) -> None:
    async with registry.borrow("a") as resident:
        unloading = asyncio.create_task(registry.unload("a"))
        await asyncio.sleep(0)  # it waits for the borrower
        unloading.cancel()
        await asyncio.wait([unloading])
        gone = threading.Event()
        weakref.finalize(resident, gone.set)
    del resident, unloading
    assert await asyncio.to_thread(gone.wait, 10)
    assert loaded(registry) == []


async def test_a_closed_registry_loads_nothing(models: Path) -> None:
    registry = registry_for(models, 3)
    waiting = asyncio.create_task(registry.load("a"))
    await asyncio.sleep(0)  # it has begun
    await registry.close()
    for load in (waiting, registry.load("b")):
        with pytest.raises(ClosedError, match="closing"):
            await load


async def test_an_unloaded_models_memory_is_freed(registry: Registry) -> None:
    gone = threading.Event()
    async with registry.borrow("a") as resident:
        weakref.finalize(resident.loaded.held, gone.set)
    del resident
    gc.disable()  # nobody should have to wait for it
    try:
        await registry.unload("a")
        assert await asyncio.to_thread(gone.wait, 10)
    finally:
        gc.enable()


async def test_a_model_larger_than_all_memory_is_refused(models: Path) -> None:
    registry = registry_for(models, 0.5)
    with pytest.raises(ModelTooLargeError, match=r"takes .* more than"):
        await registry.load("a")
    await registry.close()


async def test_slots_count_as_well_as_weights(models: Path) -> None:
    room = memory(models / "a") / GIB
    registry = Registry(EngineSettings(models=models, memory=room, slots=64))
    await registry.load_all()
    assert loaded(registry) == []
    await registry.close()
    registry = Registry(EngineSettings(models=models, memory=room, slots=8))
    await registry.load_all()
    assert "a" in loaded(registry)
    await registry.close()


async def test_what_a_model_takes_at_least_is_known_before_it_is_read(
    tmp_path: Path, precision: Precision
) -> None:
    folders = (
        save_gpt2(tmp_path / "gpt2"),
        save_llama(tmp_path / "llama", max_position_embeddings=4096, head_dim=32),
        save_lstm(tmp_path / "lstm"),
    )
    for folder in folders:
        least = least_memory(folder, device="cpu", precision=precision, slots=32, reach=512)
        loaded = load_model(folder, precision=precision, reach=512)
        assert 0.5 * Engine(loaded, slots=32).memory < least <= Engine(loaded, slots=32).memory


async def test_a_model_that_was_too_large_is_not_read_again(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "a", tmp_path / "a")
    registry = registry_for(tmp_path, 0.9)
    with pytest.raises(ModelTooLargeError, match=r"engine\.slots"):
        await registry.load("a")
    (tmp_path / "a" / "tokenizer.json").write_text("{")  # who reads it now says that it is broken
    with pytest.raises(ModelTooLargeError, match=r"engine\.slots"):
        await registry.load("a")
    await registry.close()


async def test_a_newcomer_for_whom_there_is_no_room_leaves_nothing_behind(models: Path) -> None:
    registry = registry_for(models, 1.9)
    gc.collect()
    gc.disable()
    try:
        async with registry.borrow("a"):
            with pytest.raises(NoRoomError, match="no room"):
                await registry.load("b")
            async with asyncio.timeout(10):
                while sum(type(one) is Engine for one in gc.get_objects()) > 1:  # noqa: ASYNC110
                    await asyncio.sleep(0)  # the loading thread lets go of it, and tells nobody
    finally:
        gc.enable()
    await registry.close()


async def test_a_broken_model_says_why(tmp_path: Path) -> None:
    save_lstm(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "config.json").write_text("{")
    registry = Registry(EngineSettings(models=tmp_path))
    await registry.load_all()
    assert loaded(registry) == ["good"]
    with pytest.raises(BrokenModelError, match="The model bad cannot be loaded"):
        await registry.load("bad")
    await registry.close()


async def test_a_link_is_served_under_its_own_name(models: Path, tmp_path: Path) -> None:
    (tmp_path / "storyteller").symlink_to(models / "a")
    assert list(Registry(EngineSettings(models=tmp_path)).folders()) == ["storyteller"]
    assert list(Registry(EngineSettings(models=models / "b")).folders()) == ["b"]


@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines", b"\x1b[2J"])
async def test_a_folder_whose_name_is_no_text_is_left_out_and_said_once(
    models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: bytes
) -> None:
    (tmp_path / "good").symlink_to(models / "a")
    try:
        (tmp_path / os.fsdecode(name)).symlink_to(models / "b")
    except OSError:
        pytest.skip("this file system knows text only")
    registry = Registry(EngineSettings(models=tmp_path))
    for _ in range(2):
        assert list(registry.folders()) == ["good"]
    assert caplog.text.count("its name is not text") == 1
