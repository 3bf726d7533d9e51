"""The compiled step for the processors that this one can play, and where it cannot be compiled."""

from __future__ import annotations

import logging
import platform
from typing import TYPE_CHECKING

import pytest
import torch

from generator import native
from generator.models.loading import ModelFolderError, load_model
from tests.generator import test_quantised, test_sampling
from tests.generator.small_folders import save_gpt2, save_lstm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from generator.models.loading import LoadedModel


@pytest.fixture
def fresh() -> Iterator[None]:
    """The step is looked for anew, before and after."""
    native.forget()
    yield
    native.forget()


@pytest.fixture(scope="module", params=["haswell", "x86-64"])
def target(request: pytest.FixtureRequest) -> Iterator[None]:
    """The step runs as it does on an older processor."""
    if platform.machine() not in {"x86_64", "AMD64"}:
        pytest.skip(f"{platform.machine()} cannot run what is compiled for {request.param}")
    if request.param == "haswell" and torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        pytest.skip("this processor has no AVX2")
    native.forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NATIVE_TARGET", request.param)
        try:
            native.library()
        except native.NoCompilerError as error:
            pytest.skip(str(error))
        yield
    native.forget()


@pytest.fixture(scope="module", params=[save_gpt2, save_lstm])
def loaded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, target: None
) -> LoadedModel:
    del target
    return load_model(request.param(tmp_path_factory.mktemp("models") / "model"), precision="int8")


def test_another_processor_has_the_same_logits(loaded: LoadedModel) -> None:
    test_quantised.test_logits_are_close_to_those_in_float32(loaded)


def test_there_too_a_row_is_the_same_whatever_is_beside_it(loaded: LoadedModel) -> None:
    test_quantised.test_a_row_is_the_same_to_the_bit_whatever_is_beside_it(loaded)
    test_quantised.test_the_number_of_threads_changes_nothing(loaded)


async def test_there_too_a_story_is_the_same_alone_and_in_a_crowd(loaded: LoadedModel) -> None:
    await test_quantised.test_a_story_is_the_same_alone_in_a_crowd_and_joining_late(loaded)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("save", [save_gpt2, save_lstm])
def test_matrix_tiles_change_no_bit(
    save: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same steps of one to forty rows, by a processor with AMX and by one of before it."""
    if not torch.cpu.get_capabilities().get("amx_int8"):
        pytest.skip("this processor has no matrix tiles")
    model = load_model(save(tmp_path / "model"), precision="int8")
    steps = []
    for target in ("sapphirerapids", "icelake-server"):
        monkeypatch.setenv("NATIVE_TARGET", target)
        native.forget()
        decoder, _ = test_quantised.both(model, slots=40)
        steps.append(
            [
                decoder.step(
                    test_quantised.batch(*((slot, 0, [slot + 1] * length) for slot in range(rows)))
                ).clone()
                for rows, length in ((1, 1), (3, 1), (16, 1), (19, 1), (40, 1), (3, 30))
            ]
        )
    for tiled, plain in zip(*steps, strict=True):
        assert torch.equal(tiled, plain)


@pytest.mark.usefixtures("target")
def test_there_too_both_samplers_draw_the_same() -> None:
    test_sampling.test_both_samplers_draw_the_same()


@pytest.mark.usefixtures("fresh")
def test_without_a_compiler_stories_are_told_in_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "")
    folder = save_gpt2(tmp_path / "gpt2")
    with caplog.at_level(logging.WARNING):
        assert load_model(folder).precision == "float32"
        assert load_model(folder).precision == "float32"
    assert caplog.text.count("no C++ compiler") == 1
    with pytest.raises(ModelFolderError, match=r"int8 needs a compiler.*install g\+\+"):
        load_model(folder, precision="int8")


def script(place: Path, text: str) -> str:
    """A compiler of our own."""
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)
    return str(place)


@pytest.mark.usefixtures("fresh")
def test_a_compiler_that_fails_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = script(tmp_path / "old", "echo 'error: unrecognized option -std=c++20' >&2; exit 1")
    monkeypatch.setenv("CXX", broken)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(native.NoCompilerError, match="unrecognized option"):
        native.library()
    with caplog.at_level(logging.WARNING):
        assert load_model(save_lstm(tmp_path / "lstm")).precision == "float32"
    (record,) = caplog.records
    assert record.message == (
        "stories are told in float32, several times slower than int8: "
        f"{broken} cannot compile the step: error: unrecognized option -std=c++20"
    )


@pytest.mark.usefixtures("fresh")
def test_what_is_no_library_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler says that all is well, and leaves a text file."""
    says = 'while [ $# -gt 1 ]; do [ "$1" = -o ] && echo no library > "$2"; shift; done'
    monkeypatch.setenv("CXX", script(tmp_path / "liar", says))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert load_model(save_gpt2(tmp_path / "gpt2")).precision == "float32"


@pytest.mark.usefixtures("fresh")
def test_flags_are_chosen_by_trying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler as on a Mac with ARM: it does not know -march=native."""
    real = native._compiler()
    if real is None:
        pytest.skip("there is no C++ compiler")
    refuse = 'case "$*" in *=native*) echo "error: unknown value native" >&2; exit 1;; esac'
    apple = script(tmp_path / "apple", f'{refuse}\nexec {real[0]} "$@" -O0')
    monkeypatch.setenv("CXX", apple)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native.Threads(2)
    assert list((tmp_path / "kataribe").glob("step-*.so"))


@pytest.mark.usefixtures("fresh")
def test_a_cache_that_cannot_be_written_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = native._compiler()
    if real is None:
        pytest.skip("there is no C++ compiler")
    (tmp_path / "file").touch()  # not a read-only folder: root, as in containers, may write there
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("CXX", script(tmp_path / "quick", f'exec {real[0]} "$@" -O0'))
    with caplog.at_level(logging.WARNING):
        assert load_model(save_gpt2(tmp_path / "gpt2")).precision == "int8"
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "the decoding step is compiled at every start, as no cache serves"
    ]
