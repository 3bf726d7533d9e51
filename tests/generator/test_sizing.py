"""What loading a model takes is what it says before, and little more at its highest."""

from __future__ import annotations

import gc
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from generator.engine.loop import Engine
from generator.models.described import shape_of
from generator.models.errors import ModelFolderError
from generator.models.loading import load_model
from generator.models.sizing import least_memory
from generator.models.weights import weights_of
from tests.generator.small_folders import save_gpt2, save_llama, save_lstm
from tests.generator.small_ggufs import save_gguf
from tests.generator.test_safetensors_file import in_shards

if TYPE_CHECKING:
    from generator.models.choosing import Precision

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_SIZES: dict[str, Any] = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 6}
_FEW = {"num_hidden_layers": 1}
_LONG = 1 << 19
"""Numbers of a row."""
_MARGIN = 40 << 20
"""What Python and the C library take beside it, and a page as large as the system has."""


@dataclass
class Memory:
    """Bytes of this process, in real memory."""

    before: int

    @classmethod
    def now(cls) -> Memory:
        """From here on the highest is that of what follows."""
        gc.collect()
        _RESET.write_text("5")
        return cls(_said("VmRSS"))

    @property
    def highest(self) -> int:
        return _said("VmHWM") - self.before


def _said(name: str) -> int:
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 26 million weights, in float32."""
    return save_llama(tmp_path_factory.mktemp("sized") / "llama", **_SIZES)


@pytest.mark.skipif(not _RESET.exists(), reason="Linux says what is resident")
@pytest.mark.parametrize("kind", ["whole", "shards", "gguf"])
def test_a_model_is_loaded_in_what_its_packed_weights_need(
    llama: Path, tmp_path: Path, kind: str, native_step: None
) -> None:
    """And little else: float32 weights would be four times as much."""
    del native_step
    folder = llama
    if kind == "gguf":
        save_gguf(folder := tmp_path / "ggml", llama, "F16")
    elif kind == "shards":
        folder = in_shards(shutil.copytree(llama, tmp_path / "shards"))
    load_model(save_llama(tmp_path / "first"))  # what is imported for it, and the step's own
    said = least_memory(folder, device="cpu", precision="int8", slots=1, reach=64)
    memory = Memory.now()
    loaded = load_model(folder, precision="int8", reach=64)
    assert loaded.memory > 24_000_000
    assert memory.highest < said + _MARGIN < 3 * loaded.memory


@pytest.mark.skipif(not _RESET.exists(), reason="Linux says what is resident")
@pytest.mark.parametrize("kind", ["gpt2", "llama", "lstm"])
def test_a_long_row_takes_no_more_in_passing(tmp_path: Path, kind: str, native_step: None) -> None:
    """Where sixty-four of them in float32 are many times what is kept; in a file that is a hole."""
    del native_step
    folder = tmp_path / kind
    few: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    match kind:
        case "gpt2":
            save_gpt2(folder, n_embd=16, n_head=1, n_layer=1)
            hollow(folder, n_inner=_LONG)
        case "llama":
            save_llama(folder, **few, num_key_value_heads=1)
            hollow(folder, intermediate_size=_LONG)
        case _:
            save_lstm(folder, hidden_size=16, num_layers=1)
            hollow(folder, embedding_size=_LONG // 16)
    said = least_memory(folder, device="cpu", precision="int8", slots=1, reach=16)
    memory = Memory.now()
    loaded = load_model(folder, precision="int8", reach=16)
    assert memory.highest < said + _MARGIN < loaded.memory + 2 * _MARGIN


def test_what_a_model_takes_is_known_before_it_is_read(
    llama: Path, tmp_path: Path, precision: Precision
) -> None:
    """To the byte in 8 bits, with what makes sizes even; else to a twentieth."""
    unusual = save_llama(tmp_path / "qwen2", kind="qwen2", dtype="bfloat16", **_SIZES | _FEW)
    uneven = save_llama(tmp_path / "uneven", head_dim=6, intermediate_size=40, vocab_size=500)
    gpt2 = save_gpt2(tmp_path / "gpt2", n_embd=256, n_positions=512)
    lstm = save_lstm(tmp_path / "lstm", embedding_size=100, hidden_size=100)
    save_gguf(tmp_path / "ggml", gpt2, "F16")
    for folder in (llama, unusual, uneven, gpt2, lstm, tmp_path / "ggml"):
        least = least_memory(folder, device="cpu", precision=precision, slots=4, reach=128)
        takes = Engine(load_model(folder, precision=precision, reach=128), slots=4).memory
        assert least == takes or (precision != "int8" and 0.95 * takes < least < takes)


def hollow(folder: Path, **changes: int) -> None:
    """The folder's model in other sizes, with zeros in 64 bits for weights: no room on a disk."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    header, end = {}, 0
    for name, tensor in weights_of(shape_of(str(folder)), None).state_dict().items():
        begin, end = end, end + 8 * tensor.numel()
        size = [*tensor.shape]
        header[name] = {"dtype": "F64", "shape": size, "data_offsets": [begin, end]}
    said = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as weights:
        weights.write(len(said).to_bytes(8, "little") + said)
        weights.truncate(8 + len(said) + end)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_would_never_end_is_not_read(tmp_path: Path, file: str, kind: str) -> None:
    """It held up all other models, or filled the memory."""
    folder = save_gpt2(tmp_path / "teller")
    (folder / file).unlink()
    if kind == "pipe":
        os.mkfifo(folder / file)
    else:
        (folder / file).symlink_to("/dev/zero")
    with pytest.raises(ModelFolderError, match=f"teller has no {file}"):
        least_memory(folder, device="cpu", precision="auto", slots=1, reach=64)


def test_what_cannot_be_read_is_a_sentence_before_it_is_loaded(tmp_path: Path) -> None:
    folder = in_shards(save_gpt2(tmp_path / "teller"))
    next(folder.glob("*-00002-*")).unlink()
    with pytest.raises(ModelFolderError, match=r"teller cannot be loaded: .* and there is none"):
        least_memory(folder, device="cpu", precision="auto", slots=1, reach=64)
