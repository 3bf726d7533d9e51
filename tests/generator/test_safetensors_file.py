"""Weights are read from safetensors, one file or several; a damaged one is a sentence."""

from __future__ import annotations

import json
import re
import shutil
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from generator.models.errors import ModelFolderError
from generator.models.loading import load_model
from generator.models.reading import open_model
from generator.models.safetensors_file import SHARDED, open_safetensors
from tests.generator.small_folders import save_gpt2, save_llama

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_gpt2(tmp_path_factory.mktemp("source") / "teller")


@pytest.fixture
def folder(source: Path, tmp_path: Path) -> Path:
    shutil.copytree(source, tmp_path / "teller")
    return tmp_path / "teller"


@pytest.fixture
def sharded(folder: Path) -> Path:
    return in_shards(folder)


def in_shards(folder: Path) -> Path:
    """The same model in three files, as transformers names them."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    where = {name: shard(at % 3) for at, name in enumerate(sorted(tensors))}
    for file in set(where.values()):
        save_file({name: tensors[name] for name in tensors if where[name] == file}, folder / file)
    (folder / SHARDED).write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return folder


def shard(at: int) -> str:
    return f"model-{at + 1:05}-of-00003.safetensors"


def with_index(folder: Path, **changes: Any) -> None:
    """Other places for some tensors; None leaves one out."""
    said = json.loads((folder / SHARDED).read_text())
    where = said["weight_map"] | changes
    said["weight_map"] = {name: file for name, file in where.items() if file is not None}
    (folder / SHARDED).write_text(json.dumps(said))


@pytest.mark.parametrize("save", [save_gpt2, save_llama])
def test_shards_are_the_model_that_one_file_is(save: Any, tmp_path: Path) -> None:
    whole = load_model(save(tmp_path / "whole"), precision="float32")
    parts = load_model(in_shards(save(tmp_path / "parts")), precision="float32")
    assert parts.opened is None
    expected = whole.weights.state_dict()
    for name, tensor in parts.weights.state_dict().items():
        assert torch.equal(tensor, expected[name])


def test_the_first_gpt2_s_folder_is_read(folder: Path) -> None:
    """Its names lack the model's own, and it has masks among its weights."""
    whole = load_model(folder, precision="float32").weights.state_dict()
    tensors = load_file(folder / "model.safetensors")
    short = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    short["h.0.attn.bias"] = torch.ones(1, 1, 128, 128, dtype=torch.uint8)
    save_file(short, folder / "model.safetensors")
    loaded = load_model(folder, precision="float32")
    assert loaded.opened is None
    for name, tensor in loaded.weights.state_dict().items():
        assert torch.equal(tensor, whole[name])


def test_rows_are_read_where_they_are_asked_for(folder: Path) -> None:
    expected = load_file(folder / "model.safetensors")
    with open_safetensors(folder) as found:
        assert found.keys() == expected.keys()
        for name, rows in found.items():
            for part in (
                slice(None),
                slice(3, 7),
                slice(60, None),
                slice(5, 5),
                slice(999, None),
            ):
                assert torch.equal(rows[part], expected[name][part])


@pytest.mark.parametrize(
    ("elsewhere", "sentence"),
    [
        ("model-00009-of-00003.safetensors", "and there is none"),
        ("../teller/" + shard(0), "which is no safetensors of the folder"),
        ("/etc/passwd", "which is no safetensors of the folder"),
        ("..", "which is no safetensors of the folder"),
        ("config.json", "which is no safetensors of the folder"),
        ("a\0.safetensors", "which is no safetensors of the folder"),
        (shard(1), "is in model-00002-of-00003.safetensors, and it is not"),
        (7, "is damaged: weight_map.transformer.h.0.attn.c_attn.bias"),
    ],
)
def test_an_index_that_says_what_is_not_so(sharded: Path, elsewhere: Any, sentence: str) -> None:
    with_index(sharded, **{"transformer.h.0.attn.c_attn.bias": elsewhere})
    with pytest.raises(ModelFolderError, match=f"teller cannot be loaded: .*{re.escape(sentence)}"):
        load_model(sharded)


@pytest.mark.parametrize("index", ["", "[]", "{}", '{"weight_map": []}', "[" * 10**5])
def test_an_index_that_is_none(sharded: Path, index: str) -> None:
    (sharded / SHARDED).write_text(index)
    with pytest.raises(ModelFolderError, match=r"index\.json is damaged") as caught:
        load_model(sharded)
    assert "\n" not in str(caught.value)


def test_an_index_may_leave_out_what_its_files_have(sharded: Path) -> None:
    """As transformers has it, which takes all that is in them."""
    with_index(sharded, **{"transformer.h.0.attn.c_attn.bias": None})
    assert load_model(sharded).ends == (0,)


def test_a_tensor_in_two_files_is_not_guessed(sharded: Path) -> None:
    tensors = load_file(sharded / shard(0))
    tensors["transformer.wpe.weight"] = torch.zeros(128, 64)
    save_file(tensors, sharded / shard(0))
    with pytest.raises(ModelFolderError, match=r"transformer\.wpe\.weight is in .* and in .* too"):
        load_model(sharded)


@pytest.mark.parametrize("left", [0, 5, 100, -1])
def test_a_shard_that_was_cut(sharded: Path, left: int) -> None:
    file = sharded / shard(1)
    file.write_bytes(file.read_bytes()[:left])
    (sharded / "beside.safetensors").write_bytes(bytes(10**6))  # so the folder is large enough
    with pytest.raises(ModelFolderError, match=r"model-00002.*\.safetensors ends too early"):
        load_model(sharded)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [(torch.int8, "of the kind I8; F64"), (torch.float8_e4m3fn, "of the kind F8_E4M3; F64")],
    ids=str,
)
@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_numbers_of_a_quantisation_are_not_taken_for_weights(
    folder: Path, kind: torch.dtype, sentence: str, precision: Any
) -> None:
    tensors = load_file(folder / "model.safetensors")
    name = "transformer.h.1.mlp.c_fc.weight"
    tensors[name] = tensors[name].to(kind)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelFolderError, match=f"c_fc.weight has numbers {sentence}"):
        load_model(folder, precision=precision)


def header(**said: Any) -> bytes:
    text = json.dumps(said).encode()
    return struct.pack("<Q", len(text)) + text


def tensor(first: int, last: int, *shape: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, last]}


_TWICE = b'{"a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}, "a": 1}'


@pytest.mark.parametrize(
    ("begins", "sentence"),
    [
        (struct.pack("<Q", 1 << 62), "ends too early"),
        (struct.pack("<Q", (1 << 64) - 1), "ends too early"),
        (struct.pack("<Q", 17 << 20), "has a header of 17 MiB; at most 16 are read"),
        (struct.pack("<Q", 0), "its header is no JSON"),
        (struct.pack("<Q", 10**5) + b"[" * 10**5, "is damaged"),
        (struct.pack("<Q", 2) + b"[]", "is damaged: Input should be"),
        (struct.pack("<Q", 4) + b"\xff\xfe{}", "its header is no JSON"),
        (struct.pack("<Q", len(_TWICE)) + _TWICE, "a name in it comes twice"),
        (header(a=1), "is damaged: a"),
        (header(a=tensor(0, 4, 1) | {"shape": [1.5]}), "is damaged: a.shape"),
        (header(a=tensor(0, 4, -1)), "is damaged: a.shape"),
        (header(a=tensor(0, 4, *[1] * 9)), "is damaged: a.shape"),
        (header(a=tensor(-4, 0, 1)), "is damaged: a.data_offsets"),
        (header(a=tensor(0, 8, 1)), "'a' does not lie where it says"),
        (header(a=tensor(8, 4, 1)), "'a' does not lie where it says"),
        (header(a=tensor(4, 8, 1)), "'a' does not lie where it says"),
        (header(a=tensor(0, 4, 1), b=tensor(0, 4, 1)), "'b' does not lie where it says"),
        (header(a=tensor(0, 4, 1 << 62, 1 << 62)), "'a' does not lie where it says"),
        (header(a=tensor(0, 4 << 40, 1 << 40)), "ends too early"),
        (header(__metadata__={"format": "pt"}), "its weights lack"),
    ],
)
def test_a_header_is_not_believed(folder: Path, begins: bytes, sentence: str) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.write(begins)
        file.truncate(18 << 20)  # a hole, of which the disk keeps nothing
    with pytest.raises(ModelFolderError, match=re.escape(sentence)) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


def test_any_damage_to_a_header_is_a_sentence_or_passes(folder: Path) -> None:
    """A byte changed anywhere in it."""
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    said = []
    for at in range(0, int.from_bytes(whole[:8], "little"), 23):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        with suppress(ValueError, OSError), open_safetensors(folder):
            continue
        said.append(at)
    assert said


def test_a_file_that_becomes_shorter_meanwhile_is_an_error(folder: Path) -> None:
    """And not the end of the process, as of a mapped one."""
    with open_model(folder) as found:
        with (folder / "model.safetensors").open("r+b") as file:
            file.truncate(9000)
        with pytest.raises(OSError, match="has become shorter while it is read"):
            _ = found.tensors["transformer.wte.weight"][:]


def test_a_folder_that_is_replaced_meanwhile_is_still_the_one_that_was_opened(folder: Path) -> None:
    expected = load_file(folder / "model.safetensors")["transformer.wte.weight"]
    with open_model(folder) as found:
        other = save_gpt2(folder.with_name("other"), seed=1)
        (other / "model.safetensors").replace(folder / "model.safetensors")
        assert torch.equal(found.tensors["transformer.wte.weight"][:], expected)
