"""A folder with a GGUF file is a model folder; a damaged or hostile one is a sentence."""

from __future__ import annotations

import os
import re
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import torch

from generator.config import EngineSettings
from generator.engine.registry import Registry
from generator.models import gguf_file
from generator.models.described import shape_in
from generator.models.errors import ModelFolderError
from generator.models.gguf_file import read_header
from generator.models.loading import load_model
from generator.models.reading import open_model
from generator.models.reference import Reference
from tests.generator.small_folders import save_gpt2, save_llama
from tests.generator.small_ggufs import save_gguf
from tests.generator.small_llamas import ROPE

if TYPE_CHECKING:
    from pathlib import Path

_TEXT = "In the year 1990 a young man named Ren came."


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama") / "source")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, source: Path) -> bytes:
    return save_gguf(tmp_path_factory.mktemp("whole") / "llama", source).read_bytes()


@pytest.fixture
def file(tmp_path: Path, whole: bytes) -> Path:
    folder = tmp_path / "teller"
    folder.mkdir()
    (folder / "teller.gguf").write_bytes(whole)
    return folder / "teller.gguf"


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen2"])
def test_it_is_the_model_that_the_safetensors_are(kind: str, tmp_path: Path) -> None:
    """Weights, tokens and the end are the same, and so will the stories be."""
    source = tmp_path / "source"
    turning = ROPE | {"rope_theta": 100.0}  # not what is assumed where a file says nothing
    if kind == "gpt2":
        save_gpt2(source)
    else:
        save_llama(source, kind=kind, rope_parameters=turning)
    ours = load_model(source, device="cpu", precision="float32")
    save_gguf(tmp_path / "teller", source)
    theirs = load_model(tmp_path / "teller", device="cpu", precision="float32")
    assert theirs.name == "teller"
    assert (theirs.ends, theirs.context) == (ours.ends, ours.context)
    assert theirs.tokens.backend.encode(_TEXT).ids == ours.tokens.backend.encode(_TEXT).ids
    weights = dict(ours.weights.named_parameters())
    for name, weight in theirs.weights.named_parameters():
        torch.testing.assert_close(weight, weights[name], rtol=0, atol=0)
    prompt = torch.tensor([ours.tokens.backend.encode(_TEXT).ids])
    torch.testing.assert_close(theirs.model(prompt).logits, ours.model(prompt).logits)


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0", "Q4_1"])
@pytest.mark.parametrize("arch", ["gpt2", "llama", "qwen2"])
def test_it_is_what_transformers_reads(arch: str, kind: str, tmp_path: Path) -> None:
    """To the last digit of each weight, unpacked as a whole or some rows at a time."""
    source = tmp_path / "source"
    if arch == "gpt2":
        save_gpt2(source)
    else:  # rows in blocks of 32; two heads of keys for four
        save_llama(source, kind=arch, intermediate_size=128)
    save_gguf(tmp_path / "teller", source, kind)
    theirs = Reference.load(str(tmp_path / "teller"))
    with open_model(tmp_path / "teller") as ours:
        assert ours.shape == shape_in(theirs.model.config)
        assert (ours.described.ends, ours.described.settings) == (theirs.ends, theirs.settings)
        tokens = ours.described.tokens
        assert tokens.backend.to_str() == theirs.tokens.backend.to_str()
        assert (tokens.bos_id, tokens.unk_id) == (theirs.tokens.bos_id, theirs.tokens.unk_id)
        expected = dict(theirs.weights.named_parameters())
        assert ours.tensors.keys() == expected.keys()
        for name, rows in ours.tensors.items():
            assert torch.equal(rows[:].float(), expected[name])
            assert torch.equal(rows[3:9].float(), expected[name][3:9])


def test_numbers_that_nobody_unpacks_are_one_sentence(file: Path) -> None:
    """As those of a program that is newer than the package: here whole numbers of 64 bits."""
    whole = file.read_bytes()
    name = b"blk.0.ffn_up.weight" + struct.pack("<IQQ", 2, 64, 112)
    assert name + struct.pack("<I", 0) in whole
    smaller = b"blk.0.ffn_up.weight" + struct.pack("<IQQ", 2, 32, 112) + struct.pack("<I", 27)
    file.write_bytes(whole.replace(name + struct.pack("<I", 0), smaller))
    with pytest.raises(ModelFolderError, match=r"mlp\.up_proj\.weight is of the size"):
        load_model(file.parent)
    lone = b"output_norm.weight" + struct.pack("<IQ", 1, 64)
    assert lone + struct.pack("<I", 0) in whole
    file.write_bytes(whole.replace(lone + struct.pack("<I", 0), lone + struct.pack("<I", 24)))
    with pytest.raises(ModelFolderError, match="I8 is not yet implemented"):
        load_model(file.parent)


def test_packed_weights_are_unpacked(tmp_path: Path) -> None:
    source = save_llama(tmp_path / "source", intermediate_size=128)  # in blocks of 32
    save_gguf(tmp_path / "packed", source, "Q8_0")
    packed = load_model(tmp_path / "packed", device="cpu", precision="float32")
    weights = dict(load_model(source, device="cpu", precision="float32").weights.named_parameters())
    for name, weight in packed.weights.named_parameters():
        step = weights[name].abs().max().item() / 127
        torch.testing.assert_close(weight, weights[name], rtol=0, atol=step)


async def test_the_registry_tells_from_it_and_not_from_what_is_still_written(
    file: Path, tmp_path: Path, whole: bytes
) -> None:
    (tmp_path / ".half").mkdir()
    (tmp_path / ".half" / "half.gguf").write_bytes(whole)
    (tmp_path / ".half" / "config.json").write_text("{}")
    registry = Registry(EngineSettings(models=tmp_path, slots=2, device="cpu"))
    assert list(registry.folders()) == ["teller"]
    async with registry.borrow("teller") as resident:
        assert resident.loaded.eos_id == 0
    await registry.close()
    alone = Registry(EngineSettings(models=file.parent))
    assert alone.folders() == {"teller": file.parent}


def test_of_several_files_none_is_guessed(file: Path) -> None:
    file.with_name("other.gguf").write_bytes(b"")
    with pytest.raises(ModelFolderError, match="holds 2 GGUF files: keep one of them"):
        load_model(file.parent)


def test_safetensors_beside_it_are_the_model(file: Path, source: Path) -> None:
    for beside in source.iterdir():
        (file.parent / beside.name).write_bytes(beside.read_bytes())
    file.write_bytes(b"")
    assert load_model(file.parent).ends == (0,)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"split_count": 3}, "one of several parts"),
        ({"rope_scaling_type": "yarn"}, "stretches its positions (yarn)"),
    ],
)
def test_what_is_not_read_is_said(said: dict[str, object], sentence: str, file: Path) -> None:
    if "split_count" in said:  # which the writer adds to the files it splits only
        text = b"split.count"
        pair = struct.pack("<Q", len(text)) + text + struct.pack("<IH", 2, 3)
    else:
        text, value = b"llama.rope.scaling.type", b"yarn"
        pair = struct.pack("<Q", len(text)) + text + struct.pack("<IQ", 8, len(value)) + value
    whole = file.read_bytes()
    (pairs,) = struct.unpack_from("<Q", whole, 16)
    file.write_bytes(whole[:16] + struct.pack("<Q", pairs + 1) + pair + whole[24:])
    with pytest.raises(ModelFolderError, match=re.escape(sentence)):
        load_model(file.parent)


def test_another_architecture_is_named(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"llama", b"bloom"))
    with pytest.raises(ModelFolderError, match=r"the kind 'bloom'; from GGUF, gpt2, llama, qwen2"):
        load_model(file.parent)


@pytest.mark.parametrize("left", [0, 3, 20, 200, 3000, -1])
def test_a_file_that_was_cut_is_one_sentence(left: int, file: Path) -> None:
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(ModelFolderError, match=r"ends too early|is empty"):
        load_model(file.parent)


_HUGE = struct.pack("<Q", 1 << 62)
_HEAD = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 1) + b"a"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"PK" * 99, "is no GGUF file"),
        (b"GGUF" + struct.pack(">IQQ", 3, 1, 1), "version"),
        (b"GGUF" + struct.pack("<IQ", 3, 1) + _HUGE, "is damaged"),
        (b"GGUF" + struct.pack("<I", 3) + _HUGE + _HUGE, "is damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + _HUGE, "ends too early"),
        (_HEAD + struct.pack("<I", 8) + _HUGE, "ends too early"),
        (_HEAD + struct.pack("<II", 9, 0) + _HUGE, "more than 1000000 values"),
        (_HEAD + struct.pack("<IIQ", 9, 0, 999_999), "ends too early"),
        (_HEAD + struct.pack("<IIQ", 9, 9, 1), "unknown kind 9"),
        (_HEAD + struct.pack("<I", 77), "unknown kind 77"),
    ],
)
def test_counts_are_not_believed(data: bytes, sentence: str, file: Path) -> None:
    """What reads the file after us would walk, or take memory, as far as it says."""
    file.write_bytes(data)
    with pytest.raises(ModelFolderError, match=sentence):
        load_model(file.parent)


def test_tensors_lie_within_the_file_and_beside_each_other(file: Path) -> None:
    """Each may lie at the same place, and be as large as the file, a thousand times."""
    whole = file.read_bytes()
    at = whole.index(b"token_embd.weight") + len(b"token_embd.weight")
    axes = struct.pack("<IQQ", 2, 64, 512)
    assert whole[at : at + len(axes)] == axes
    file.write_bytes(whole[:at] + struct.pack("<IQQ", 2, 64, 1 << 40) + whole[at + len(axes) :])
    with pytest.raises(ModelFolderError, match="ends too early"):
        read_header(file)
    names = len(re.findall(rb"blk\.\d\.ffn_up\.weight", whole))
    assert names == 3
    larger = re.sub(  # all three a third larger: each still fits, all together do not
        rb"(blk\.\d\.ffn_(?:up|gate|down)\.weight\x02\0\0\0)(........)(........)",
        lambda found: found[1] + struct.pack("<QQ", 64, 1500),
        whole,
        flags=re.DOTALL,
    )
    file.write_bytes(larger)
    with pytest.raises(ModelFolderError, match="ends too early"):
        read_header(file)


def test_settings_that_promise_more_than_the_tensors_hold_are_refused_unread(file: Path) -> None:
    whole = file.read_bytes()
    name = b"llama.block_count" + struct.pack("<I", 4)
    assert name + struct.pack("<I", 3) in whole
    file.write_bytes(whole.replace(name + struct.pack("<I", 3), name + struct.pack("<I", 900)))
    with pytest.raises(ModelFolderError, match="asks for"):
        load_model(file.parent)


def test_any_damage_to_the_header_is_a_sentence_or_passes(file: Path) -> None:
    """A byte changed anywhere in it."""
    whole = file.read_bytes()
    said = []
    for at in range(0, 6000, 37):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        with suppress(ModelFolderError):
            read_header(file)
            continue
        said.append(at)
    assert said


def test_one_that_is_cut_short_while_its_header_is_read_is_a_sentence(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were it mapped, the process would end here."""
    read_on = gguf_file._settings

    def cut(*given: Any) -> Any:
        os.truncate(file, 100)
        return read_on(*given)

    assert file.stat().st_size > 100_000  # more than is read ahead
    monkeypatch.setattr(gguf_file, "_settings", cut)
    with pytest.raises(ModelFolderError, match=r"teller\.gguf ends too early"):
        read_header(file)


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0"])
def test_a_part_of_its_rows_is_read_as_it_is_in_the_whole(kind: str, tmp_path: Path) -> None:
    source = save_llama(tmp_path / "source", intermediate_size=128)
    save_gguf(tmp_path / "teller", source, kind)
    with open_model(tmp_path / "teller") as found:
        rows = found.tensors["model.layers.0.mlp.down_proj.weight"]
        assert rows[3:6, 32:96].equal(rows[:][3:6, 32:96])
        bias = found.tensors["model.norm.weight"]
        assert bias[32:].equal(bias[:][32:])
