"""A folder that is read without transformers is the one that transformers reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from generator.models.described import shape_of
from generator.models.errors import ModelFolderError
from generator.models.loading import load_model
from generator.models.plain_folder import read_plain
from generator.models.reading import open_model
from generator.models.reference import Reference
from generator.models.weights import weights_of
from tests.generator.small_folders import save_gpt2, save_llama, save_lstm, save_words
from tests.generator.small_ggufs import save_gguf
from tests.generator.small_llamas import ROPE, STRETCHED

if TYPE_CHECKING:
    from collections.abc import Callable


def words(folder: Path) -> Path:
    save_gpt2(folder, vocab_size=9, eos_token_id=8)
    save_words(folder)
    return folder


PADDING = {
    "strategy": {"Fixed": 16},
    "direction": "Right",
    "pad_to_multiple_of": None,
    "pad_id": 300,
    "pad_type_id": 0,
    "pad_token": "[PAD]",
}
EMBEDDINGS = ("wte.weight", "embedding.weight")
ROOT = Path(__file__).parents[2]
FOLDERS: dict[str, Any] = {
    "gpt2-starter": lambda _: ROOT / "models/gpt2-starter",
    "lstm-starter": lambda _: ROOT / "models/lstm-starter",
    "gpt2": save_gpt2,
    "gpt2-untied": lambda folder: save_gpt2(folder, tie_word_embeddings=False),
    "gpt2-scaled": lambda folder: save_gpt2(
        folder, scale_attn_by_inverse_layer_idx=True, n_inner=96
    ),
    "lstm": save_lstm,
    "lstm-untied": lambda folder: save_lstm(folder, tie_word_embeddings=False),
    "lstm-narrow": lambda folder: save_lstm(folder, embedding_size=64),
    "words": words,
    "llama": save_llama,
    "llama-biased": lambda folder: save_llama(folder, attention_bias=True, mlp_bias=True),
    "llama-tied": lambda folder: save_llama(folder, tie_word_embeddings=True, head_dim=24),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_it_is_the_same_to_the_last_token_and_digit(tmp_path: Path, kind: str) -> None:
    folder = FOLDERS[kind](tmp_path / kind)
    plain = read_plain(folder)
    assert plain is not None
    with open_model(folder) as read:
        weights = weights_of(read.shape, {name: rows[:] for name, rows in read.tensors.items()})
    theirs = Reference.load(str(folder))
    assert plain.shape == shape_of(str(folder))
    assert (plain.settings, plain.ends) == (theirs.settings, theirs.ends)
    ours, tokens = plain.tokens, theirs.tokens
    assert ours.backend.to_str() == tokens.backend.to_str()
    assert ours.backend.encode_special_tokens == tokens.backend.encode_special_tokens
    assert (ours.bos_id, ours.eos_id, ours.unk_id) == (tokens.bos_id, tokens.eos_id, tokens.unk_id)
    assert ours.controls == tokens.controls
    expected = theirs.weights.state_dict()
    found = weights.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert torch.equal(tensor.float(), expected[name])
    assert len([*weights.parameters()]) == len([*theirs.model.parameters()])
    if kind == "gpt2-scaled":
        bodies: Any = theirs.model, weights
        scales, known = ([block.attn.scaling for block in of.transformer.h] for of in bodies)
        assert scales == known


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("config.json", {"activation_function": "relu"}),
        ("config.json", {"quantization_config": {"quant_method": "fp8"}}),
        ("config.json", {"vocab_size": 512.0}),
        ("config.json", {"n_head": 5}),
        ("tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer"}),
        ("tokenizer_config.json", {"add_prefix_space": True}),
        ("tokenizer_config.json", {"pad_token": "[PAD]"}),
        ("tokenizer.json", {"post_processor": None}),
        ("tokenizer.json", {"padding": PADDING}),
        ("generation_config.json", {"eos_token_id": None}),
        ("generation_config.json", {"top_k": -5}),
        ("special_tokens_map.json", {"eos_token": "<|endoftext|>"}),
        ("adapter_config.json", {"peft_type": "LORA"}),
    ],
)
def test_what_it_does_not_know_is_left_to_transformers(
    tmp_path: Path, file: str, change: dict[str, Any]
) -> None:
    folder = save_gpt2(tmp_path / "teller")
    assert read_plain(folder) is not None
    said = json.loads((folder / file).read_text()) if (folder / file).exists() else {}
    (folder / file).write_text(json.dumps(said | change))
    assert read_plain(folder) is None


@pytest.mark.parametrize(
    "change",
    [
        {"rope_parameters": STRETCHED},
        {"rope_parameters": ROPE | {"partial_rotary_factor": 0.5}},
        {"num_key_value_heads": 3},
        {"head_dim": 17},
        {"head_dim": 10**12},
        {"hidden_act": "relu"},
    ],
)
def test_so_is_what_is_unusual_in_a_llama(tmp_path: Path, change: dict[str, Any]) -> None:
    folder = save_llama(tmp_path / "teller")
    assert read_plain(folder) is not None
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(said | change))
    assert read_plain(folder) is None


def test_weights_are_read_without_transformers_where_only_the_rest_is_unusual(
    tmp_path: Path,
) -> None:
    """Which gives a Qwen2 a tokenizer of its own; and there is no float32 copy of the weights."""
    folder = save_llama(tmp_path / "teller", kind="qwen2", dtype="bfloat16")
    assert read_plain(folder) is None
    loaded = load_model(folder, precision="float32")
    assert loaded.opened is None
    theirs = Reference.load(str(folder))
    assert (loaded.settings, loaded.ends) == (theirs.settings, theirs.ends)
    assert loaded.tokens.backend.to_str() == theirs.tokens.backend.to_str()
    expected = theirs.weights.state_dict()
    for name, tensor in loaded.weights.state_dict().items():
        assert torch.equal(tensor, expected[name])


def test_a_vocabulary_may_be_large(tmp_path: Path) -> None:
    """Transformers mends some of more than 100,000 tokens: those of a Mistral, not these."""
    count = 100_001
    folder = save_llama(tmp_path / "words", vocab_size=count, hidden_size=16, num_hidden_layers=1)
    known = Tokenizer(models.WordLevel({f"word{at}": at for at in range(count)}, "word0"))
    known.pre_tokenizer = pre_tokenizers.Whitespace()
    known.post_processor = processors.TemplateProcessing(single="$A")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=known, unk_token="word0")
    tokenizer.save_pretrained(folder)
    plain = read_plain(folder)
    assert plain is not None
    theirs = PreTrainedTokenizerFast.from_pretrained(folder)
    assert plain.tokens.backend.pre_tokenizer.__getstate__() == (
        theirs.backend_tokenizer.pre_tokenizer.__getstate__()
    )


def test_a_pipe_among_the_files_is_left_to_transformers(tmp_path: Path) -> None:
    """Which takes it for none; reading it would never end."""
    folder = save_gpt2(tmp_path / "teller")
    (folder / "generation_config.json").unlink()
    os.mkfifo(folder / "generation_config.json")
    assert read_plain(folder) is None


@pytest.mark.parametrize(
    ("save", "head"), [(save_gpt2, "lm_head.weight"), (save_lstm, "head.weight")]
)
@pytest.mark.parametrize("same", [False, True])
def test_a_head_in_the_file_is_told_with_whatever_the_config_says(
    tmp_path: Path, save: Callable[[Path], Path], head: str, *, same: bool
) -> None:
    """Transformers, too, ties it to the embedding only where both are the same."""
    folder = save(tmp_path / "teller")
    tensors = load_file(folder / "model.safetensors")
    (embedding,) = (tensors[name] for name in tensors if name.endswith(EMBEDDINGS))
    tensors[head] = embedding.clone() if same else embedding.flip(0)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    loaded = load_model(folder, precision="float32")
    read = loaded.weights.state_dict(), Reference.load(str(folder)).weights.state_dict()
    assert all(torch.equal(weights[head], tensors[head]) for weights in read)
    ours = {weight.data_ptr() for weight in loaded.weights.parameters()}
    assert {weight.data_ptr() for weight in loaded.model.parameters()} == ours


def test_what_transformers_has_loaded_has_the_same_weights_in_memory(tmp_path: Path) -> None:
    """A beam search costs no second copy."""
    loaded = load_model(save_gpt2(tmp_path / "teller"), precision="float32")
    ours = {weight.data_ptr() for weight in loaded.weights.parameters()}
    assert {weight.data_ptr() for weight in loaded.model.parameters()} == ours


def test_a_folder_named_in_short_is_still_found_when_transformers_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not looked for on the hub, where somebody may have one of that name."""
    save_gpt2(tmp_path / "teller")
    monkeypatch.chdir(tmp_path)
    loaded = load_model("teller", precision="float32")
    monkeypatch.chdir("/")
    assert loaded.model.config.vocab_size == loaded.config.vocab_size


def test_a_folder_that_holds_another_model_by_now_is_not_taken_for_the_loaded_one(
    tmp_path: Path,
) -> None:
    loaded = load_model(save_gpt2(tmp_path / "teller"), precision="float32")
    save_gpt2(tmp_path / "teller", n_head=2)
    with pytest.raises(ModelFolderError, match="holds another model by now"):
        _ = loaded.model


@pytest.mark.parametrize("beams", [1, 2])
def test_transformers_is_there_before_the_first_story_where_all_are_searched(
    tmp_path: Path, beams: int
) -> None:
    folder = save_gpt2(tmp_path / "teller")
    settings = {"eos_token_id": 0, "num_beams": beams}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    assert ("_reference" in vars(load_model(folder))) == (beams > 1)


def test_a_starter_is_told_from_without_transformers(tmp_path: Path) -> None:
    """Whose import would make every start of the bot seconds longer.

    Its models are not wanted even where it reads a folder's tokenizer: they take 140 MB too.
    """
    unusual = save_llama(tmp_path / "unusual", kind="qwen2")
    save_gguf(tmp_path / "ggml", unusual)
    code = (
        "import sys, generator.server.process\n"
        "from generator.engine.loop import Engine\n"
        "from generator.models.loading import load_model\n"
        "Engine(load_model('models/lstm-starter'), slots=1, threads=1)\n"
        "print('transformers' in sys.modules)\n"
        "for folder in sys.argv[1:]:\n"
        "    load_model(folder)\n"
        "print('transformers' in sys.modules, 'transformers.modeling_utils' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, unusual, tmp_path / "ggml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\nTrue False\n"
