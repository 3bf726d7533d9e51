"""The compiled step for the processors that this one can play, and where it cannot be compiled."""

from __future__ import annotations

import logging
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from ctypes import CDLL, byref
from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch

from generator import native
from generator.models.errors import ModelFolderError
from generator.models.loading import load_model
from generator.models.packed import Linear, Norm, Positions, Table, TransformerShape
from tests.generator import test_quantised, test_sampling
from tests.generator.small_folders import save_gpt2, save_llama, save_lstm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from generator.models.loading import LoadedModel


GENTLE_LLAMA = partial(save_llama, initializer_range=0.06)


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The step is looked for anew, before and after, and nobody's environment forbids it."""
    monkeypatch.delenv("NATIVE_ISA", raising=False)
    native.forget()
    yield
    native.forget()


@pytest.fixture(scope="module", params=["avx2", "sse2"])
def target(request: pytest.FixtureRequest) -> Iterator[None]:
    """The step runs as it does on an older processor."""
    native.forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NATIVE_ISA", request.param)
        try:
            native.library()
        except native.NoNativeStepError as error:
            pytest.skip(str(error))
        yield
    native.forget()


@pytest.fixture(scope="module", params=[save_gpt2, GENTLE_LLAMA, save_lstm])
def loaded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, target: None
) -> LoadedModel:
    del target
    folder = tmp_path_factory.mktemp("models") / "model"
    return load_model(request.param(folder), precision="float32")


def test_another_processor_has_the_same_logits(loaded: LoadedModel) -> None:
    test_quantised.test_logits_are_close_to_those_in_float32(loaded)


def test_there_too_a_row_is_the_same_whatever_is_beside_it(loaded: LoadedModel) -> None:
    test_quantised.test_a_row_is_the_same_to_the_bit_whatever_is_beside_it(loaded)
    test_quantised.test_the_number_of_threads_changes_nothing(loaded)


async def test_there_too_a_story_is_the_same_alone_and_in_a_crowd(loaded: LoadedModel) -> None:
    await test_quantised.test_a_story_is_the_same_alone_in_a_crowd_and_joining_late(loaded)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("save", [save_gpt2, save_llama, save_lstm])
def test_matrix_tiles_change_no_bit(
    save: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same steps of one to forty rows, by a processor with AMX and by one of before it."""
    if not torch.cpu.get_capabilities().get("amx_int8"):
        pytest.skip("this processor has no matrix tiles")
    model = load_model(save(tmp_path / "model"), precision="float32")
    steps = []
    for target in ("amx", "vnni"):
        monkeypatch.setenv("NATIVE_ISA", target)
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
    with pytest.raises(ModelFolderError, match=r"int8 needs the native step.*install g\+\+"):
        load_model(folder, precision="int8")


def script(place: Path, text: str) -> str:
    """A compiler of our own."""
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)
    return str(place)


@pytest.mark.parametrize("changed", [False, True])
def test_what_was_compiled_serves_another_checkout_of_the_same_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, changed: bool
) -> None:
    here = native._fingerprint(["c++"], ["-O3"])
    shutil.copytree(native._SOURCE, tmp_path / "native")
    if changed:
        (tmp_path / "native" / "library.cpp").write_text("")
    monkeypatch.setattr(native, "_SOURCE", tmp_path / "native")
    assert (native._fingerprint(["c++"], ["-O3"]) == here) is not changed


@pytest.mark.usefixtures("fresh")
def test_a_compiler_that_fails_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = script(tmp_path / "old", "echo 'error: unrecognized option -std=c++20' >&2; exit 1")
    monkeypatch.setenv("CXX", broken)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(native.NoNativeStepError, match="unrecognized option"):
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


@pytest.fixture
def copying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What a compiler does that makes the step in no time: it has been made before."""
    monkeypatch.delenv("NATIVE_ISA", raising=False)
    native.forget()
    try:
        made = native.library()._name
    except native.NoNativeStepError as error:
        pytest.skip(str(error))
    kept = shutil.copy(made, tmp_path / "made.so")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native.forget()
    yield f'while [ $# -gt 1 ]; do [ "$1" = -o ] && cp {kept} "$2"; shift; done'
    native.forget()


def test_flags_are_chosen_by_trying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copying: str
) -> None:
    """A compiler as on a Mac with ARM: it does not know -march=native."""
    refuse = 'case "$*" in *=native*) echo "error: unknown value native" >&2; exit 1;; esac'
    monkeypatch.setenv("CXX", script(tmp_path / "apple", f"{refuse}\n{copying}"))
    native.Threads(2)
    assert list((tmp_path / "kataribe").glob("step-*.so"))


def test_a_cache_that_cannot_be_written_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, copying: str
) -> None:
    (tmp_path / "file").touch()  # not a read-only folder: root, as in containers, may write there
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("CXX", script(tmp_path / "quick", copying))
    with caplog.at_level(logging.WARNING):
        assert load_model(save_gpt2(tmp_path / "gpt2")).precision == "int8"
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "the decoding step is compiled at every start, as no cache serves"
    ]


def test_those_who_start_at_once_compile_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copying: str
) -> None:
    runs = tmp_path / "runs"
    counting = f'case "$*" in *" -o "*) echo one >> {runs};; esac\n{copying}'
    monkeypatch.setenv("CXX", script(tmp_path / "quick", counting))
    with ThreadPoolExecutor(4) as pool:
        made = [*pool.map(lambda _: native._outcome.__wrapped__(), range(4))]
    assert len({library._name for library in made if isinstance(library, CDLL)}) == 1
    assert runs.read_text() == "one\n"


def test_a_damaged_library_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copying: str
) -> None:
    monkeypatch.setenv("CXX", script(tmp_path / "quick", copying))
    native.library()
    (built,) = (tmp_path / "kataribe").glob("step-*.so")
    whole, half = built.read_bytes(), built.stat().st_size // 2
    for damaged in (b"", whole[:half], whole[:half] + b"?" + whole[half + 1 :]):
        built.unlink()  # not written over: this process has it mapped
        built.write_bytes(damaged)
        native.forget()
        native.Threads(2)
        assert built.read_bytes() == whole
    assert built.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("whose", ["folder", "file"])
def test_what_another_user_may_have_put_into_the_cache_is_not_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    copying: str,
    whose: str,
) -> None:
    monkeypatch.setenv("CXX", script(tmp_path / "quick", copying))
    native.library()
    folder = tmp_path / "kataribe"
    (built,) = folder.glob("step-*.so")
    planted = built.stat().st_ino
    os.chown(folder if whose == "folder" else built, 65534, 65534)
    native.forget()
    with caplog.at_level(logging.WARNING):
        loaded = native.library()._name
    if whose == "folder":
        assert f"{folder} belongs to another user" in caplog.text
        assert not loaded.startswith(str(folder))
    else:
        assert (built.stat().st_ino != planted, built.stat().st_uid) == (True, 0)


def test_what_fails_in_cpp_is_an_exception_in_python() -> None:
    try:
        library = native.library()
    except native.NoNativeStepError as error:
        pytest.skip(str(error))
    impossible = byref(TransformerShape(layers=-1, heads=1, key_heads=1, width=16))
    parts = (byref(part()) for part in (Norm, Linear, Table, Positions))
    with pytest.raises(native.NativeStepError, match="at least one layer"):
        library.transformer_open(impossible, None, *parts, None)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("isa", "reason"),
    [
        ("off", "NATIVE_ISA is off"),
        ("mmx", "NATIVE_ISA takes auto, off, sse2, avx2, avx512, vnni, amx, not 'mmx'"),
    ],
)
def test_a_host_can_do_without_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isa: str, reason: str
) -> None:
    monkeypatch.setenv("NATIVE_ISA", isa)
    folder = save_gpt2(tmp_path / "gpt2")
    assert load_model(folder).precision == "float32"
    with pytest.raises(ModelFolderError) as caught:
        load_model(folder, precision="int8")
    assert str(caught.value) == f"precision int8 needs the native step: {reason}"
