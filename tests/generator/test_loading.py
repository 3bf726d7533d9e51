from __future__ import annotations

import json
import re
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, GenerationConfig, PreTrainedTokenizerFast

from generator.engine.loop import Engine
from generator.models.errors import ModelFolderError
from generator.models.loading import load_model
from generator.models.reading import LONGEST_TEXT
from generator.sampling.settings import StorySettings
from generator.sampling.vocabulary import _goes_on
from tests.generator.small_folders import VOCABULARY, save_gpt2, save_llama, save_lstm, save_words
from tests.generator.small_models import byte_level_tokenizer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_gpt2(tmp_path / "teller")


def test_a_gpt2_folder_is_loaded_with_what_belongs_to_it(folder: Path) -> None:
    loaded = load_model(folder, device="cpu", precision="float32")
    assert (loaded.name, loaded.context, loaded.eos_id, loaded.ends) == ("teller", 128, 0, (0,))
    assert (loaded.device.type, loaded.precision) == ("cpu", "float32")
    assert loaded.tokenizer.decode(loaded.tokenizer.encode("In the year")) == "In the year"
    assert not loaded.model.training


def test_an_lstm_folder_is_loaded(tmp_path: Path) -> None:
    loaded = load_model(save_lstm(tmp_path / "lstm"))
    assert (loaded.name, loaded.context, loaded.eos_id) == ("lstm", 128, 0)


def test_tokens_inside_words_are_told_from_those_that_begin_one(folder: Path) -> None:
    loaded = load_model(folder)
    inside = set(loaded.vocabulary().continuations.tolist())
    decode = loaded.tokenizer.backend_tokenizer.decode
    texts = {token: decode([token]) for token in range(loaded.config.vocab_size)}
    letters = {token for token, text in texts.items() if text.isalnum() and text.isascii()}
    assert letters
    assert letters <= inside
    assert not any(texts[token][:1] in {" ", ".", ",", "\n", '"'} for token in inside)


def test_what_follows_an_apostrophe_is_inside_a_word() -> None:
    goes_on = [
        _goes_on(token) for token in ("'t", "'re", "t", "\u0120t", "'", ".", "'.", "\u0120'")
    ]
    assert goes_on == [True, True, True, False, False, False, False, False]


def test_tokens_that_are_no_words_are_unspoken_unless_they_end_a_story(tmp_path: Path) -> None:
    """The one token that is everything in a GPT-2 may be drawn, unlike rows without a token."""
    folder = save_gpt2(tmp_path / "bytes")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.unk_token = tokenizer.bos_token = tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(folder)
    nameless = list(range(byte_level_tokenizer().get_vocab_size(), VOCABULARY))
    assert load_model(folder).suppressed().tolist() == nameless
    save_gpt2(tmp_path / "words", vocab_size=9, eos_token_id=8)
    save_words(tmp_path / "words")
    assert load_model(tmp_path / "words").suppressed().tolist() == [0, 1]


def test_every_control_token_but_the_end_is_unspoken(folder: Path) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.add_special_tokens({"extra_special_tokens": ["<|begin|>", "<|turn|>"]})
    tokenizer.save_pretrained(folder)
    loaded = load_model(folder)
    backend = loaded.tokenizer.backend_tokenizer
    added = {backend.token_to_id(token) for token in ("<|begin|>", "<|turn|>")}
    assert added <= set(loaded.suppressed().tolist())
    assert not {*loaded.ends} & set(loaded.suppressed().tolist())


def test_a_trailing_slash_does_not_lose_the_name(folder: Path) -> None:
    assert load_model(f"{folder}/").name == "teller"


def test_several_end_tokens_and_none(folder: Path) -> None:
    GenerationConfig(eos_token_id=[3, 0]).save_pretrained(folder)
    assert load_model(folder).ends == (3, 0)
    GenerationConfig().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"eos_token_id": None}))
    assert load_model(folder).eos_id is None


def test_weights_in_half_precision_are_told_in_float32(folder: Path) -> None:
    weights = {
        name: value.half() for name, value in load_file(folder / "model.safetensors").items()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    loaded = load_model(folder, precision="float32")
    assert loaded.model.dtype == torch.float32


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(ModelFolderError, match=f"teller has no {missing}"):
        load_model(folder)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"there is no model folder .*nowhere"):
        load_model(tmp_path / "nowhere")


@pytest.mark.parametrize("damaged", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_file_is_one_sentence(folder: Path, damaged: str) -> None:
    whole = (folder / damaged).read_bytes()
    (folder / damaged).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFolderError, match="teller cannot be loaded: ") as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


def test_no_code_of_a_model_folder_runs(folder: Path, tmp_path: Path) -> None:
    """Transformers can run a folder's own Python for a config, a model and a tokenizer."""
    ran = tmp_path / "ran"
    (folder / "evil.py").write_text(f"from pathlib import Path\nPath({str(ran)!r}).touch()\n")
    autos = {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}
    for file, auto_map in (
        ("config.json", autos),
        ("tokenizer_config.json", {"AutoTokenizer": ["evil.T", "evil.T"]}),
    ):
        for kind in ("gpt2", "evil"):
            said = json.loads((folder / file).read_text())
            said |= {"auto_map": auto_map}
            said |= {"model_type": kind} if file == "config.json" else {"tokenizer_class": kind}
            (folder / file).write_text(json.dumps(said))
            with suppress(ModelFolderError):
                load_model(folder)
            assert not ran.exists()


def test_weights_that_could_hold_code_are_not_read(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")  # which is a pickle
    with pytest.raises(ModelFolderError, match=r"has no model\.safetensors"):
        load_model(folder)
    (folder / "model.safetensors").mkdir()
    (folder / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(ModelFolderError, match=r"cannot be loaded|too few"):
        load_model(folder)


@pytest.mark.parametrize(
    "promise",
    [{"n_layer": 10**9}, {"vocab_size": 10**12}, {"n_embd": -64}, {"n_positions": 10**9}],
)
def test_a_config_that_promises_more_weights_than_there_are_is_refused_unread(
    folder: Path, promise: dict[str, int]
) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | promise))
    with pytest.raises(ModelFolderError, match=r"too few|cannot be loaded|at most 1000"):
        load_model(folder)


@pytest.mark.parametrize(
    "promise",
    [
        {"num_hidden_layers": 10**9},
        {"num_hidden_layers": 4},
        {"vocab_size": 10**12},
        {"intermediate_size": 10**9},
        {"num_attention_heads": 10**9, "head_dim": 16},
        {"num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 10**12},
        {"hidden_size": 0},
        {"attention_bias": True},
    ],
    ids=str,
)
def test_a_llama_that_is_not_as_large_as_it_says_is_refused(
    tmp_path: Path, promise: dict[str, object]
) -> None:
    folder = save_llama(tmp_path / "teller")
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | promise))
    with pytest.raises(ModelFolderError) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


def test_a_context_that_no_memory_holds_is_cut_where_the_host_says(tmp_path: Path) -> None:
    folder = save_llama(tmp_path / "teller")
    file = folder / "config.json"
    endless = json.loads(file.read_text()) | {"max_position_embeddings": 10**15}
    file.write_text(json.dumps(endless))
    loaded = load_model(folder, reach=64)
    assert loaded.context == 64
    assert Engine(loaded, slots=1).memory < 10**7


@pytest.mark.parametrize(
    ("said", "why"),
    [({"n_head": 0}, "zero"), ({"n_layer": "3"}, "'n_layer' expected int, got str")],
)
def test_a_config_of_impossible_numbers_is_one_sentence(
    folder: Path, said: dict[str, object], why: str
) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | said))
    with pytest.raises(ModelFolderError, match=f"teller cannot be loaded: .*{why}"):
        load_model(folder)


def test_a_file_that_is_read_as_a_whole_has_a_bound(folder: Path) -> None:
    with (folder / "tokenizer.json").open("r+b") as file:
        file.truncate(LONGEST_TEXT + 2**20)  # a hole, of which the disk keeps nothing
    with pytest.raises(ModelFolderError, match=r"tokenizer\.json has 65 MiB"):
        load_model(folder)


def test_weights_that_lack_a_layer_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelFolderError, match=r"lack transformer\.h\.1\.mlp\.c_fc\.weight"):
        load_model(folder)


def test_weights_of_another_shape_are_refused(folder: Path, tmp_path: Path) -> None:
    other = save_gpt2(tmp_path / "wider", n_embd=80)
    shutil.copy(other / "model.safetensors", folder)
    with pytest.raises(ModelFolderError, match="teller cannot be loaded"):
        load_model(folder)


def test_a_gpt2_that_could_attend_to_an_encoder_is_told_from_without(tmp_path: Path) -> None:
    folder = save_gpt2(tmp_path / "teller", add_cross_attention=True)
    loaded = load_model(folder, precision="float32")
    prompt = torch.tensor([[5, 9]])
    with torch.inference_mode():
        assert loaded.model(prompt).logits.shape == (1, 2, VOCABULARY)
    other = load_model(save_gpt2(tmp_path / "other"), precision="float32")
    assert loaded.memory == other.memory


def test_another_architecture_is_named(folder: Path) -> None:
    BertConfig().save_pretrained(folder)
    with pytest.raises(ModelFolderError, match="a bert model cannot be told"):
        load_model(folder)


def test_a_tokenizer_larger_than_the_model_is_refused(folder: Path, tmp_path: Path) -> None:
    other = save_gpt2(tmp_path / "few", vocab_size=100)
    for file in ("config.json", "model.safetensors"):
        shutil.copy(other / file, folder)
    with pytest.raises(ModelFolderError, match=r"has a token .*, its model 100"):
        load_model(folder)


@pytest.mark.parametrize("end", [VOCABULARY, 50256, [3, VOCABULARY], -1])
def test_an_end_token_beyond_the_vocabulary_is_refused(folder: Path, end: int | list[int]) -> None:
    GenerationConfig(eos_token_id=end).save_pretrained(folder)
    with pytest.raises(ModelFolderError, match="set eos_token_id in"):
        load_model(folder)


def test_a_token_beyond_the_vocabulary_is_refused_though_there_are_few(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary[max(vocabulary, key=vocabulary.__getitem__)] = VOCABULARY
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ModelFolderError, match=f"has a token {VOCABULARY}, its model"):
        load_model(folder)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_cuda_without_a_gpu_is_one_sentence(folder: Path) -> None:
    with pytest.raises(ModelFolderError, match="torch sees no NVIDIA GPU"):
        load_model(folder, device="cuda")


@pytest.mark.parametrize(
    ("setting", "takes"),
    [
        ('"top_k": -5', r"top_k takes a whole number from 0 \(off\) to 2147483647, not -5"),
        ('"top_p": "x"', r"top_p takes a number above 0 and at most 1 \(off\), not 'x'"),
        ('"repetition_penalty": 1e400', "repetition_penalty takes a number from 0.01 to 100"),
        ('"temperature": "hot"', r"temperature takes a number from 0 .* to 1000000, not 'hot'"),
        ('"max_new_tokens": "all"', "max_new_tokens takes a whole number from 1"),
        ('"num_beams": 0', "num_beams takes a whole number from 1 to 16, not 0"),
        ('"memfree": 1', "memfree takes true or false, not 1"),
    ],
)
def test_a_setting_of_the_folder_that_cannot_be_is_named_and_left_out(
    folder: Path, caplog: pytest.LogCaptureFixture, setting: str, takes: str
) -> None:
    (folder / "generation_config.json").write_text(
        f'{{"eos_token_id": 0, "min_p": 0.1, {setting}}}'
    )
    loaded = load_model(folder)
    assert loaded.settings == StorySettings(min_p=0.1)
    assert loaded.ends == (0,)
    (said,) = [record.getMessage() for record in caplog.records if "left out" in record.msg]
    assert re.search(f"generation_config.json of {folder}: {takes}.*; it is left out", said)


@pytest.mark.parametrize(
    "damage", ["[]", "{", '{"eos_token_id": "x"}', '{"eos_token_id": [0, "x"]}']
)
def test_a_damaged_generation_config_is_one_clear_error(folder: Path, damage: str) -> None:
    (folder / "generation_config.json").write_text(damage)
    with pytest.raises(ModelFolderError):
        load_model(folder)


def tokenizer_with(folder: Path, **parts: object) -> None:
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | parts))


def test_padding_and_truncation_of_a_tokenizer_are_not_the_prompts(folder: Path) -> None:
    plain = load_model(folder).tokenizer.backend_tokenizer.encode("In the year").ids
    padding = {"strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": None}
    tokenizer_with(
        folder,
        padding=padding | {"pad_id": 0, "pad_type_id": 0, "pad_token": "<|endoftext|>"},
        truncation={
            "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0
        },
    )  # fmt: skip
    assert load_model(folder).tokenizer.backend_tokenizer.encode("In the year").ids == plain


def test_a_tokenizer_that_says_nothing_is_one_clear_error(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelFolderError, match=r"the tokenizer of .* is damaged"):
        load_model(folder)


@pytest.mark.parametrize("damage", ["AAAA", "BAAAAAAAAAA="])  # seen when read; when used
def test_a_tokenizer_that_panics_is_one_clear_error(folder: Path, damage: str) -> None:
    tokenizer_with(folder, normalizer={"type": "Precompiled", "precompiled_charsmap": damage})
    with pytest.raises(ModelFolderError, match=r"the tokenizer of .* is damaged"):
        load_model(folder)
