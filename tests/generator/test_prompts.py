from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from generator.models.loading import load_model
from generator.server.errors import ApiError
from generator.server.prompts import encode
from tests.generator.small_folders import save_lstm

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_word_that_the_model_does_not_know_is_one_sentence(tmp_path: Path) -> None:
    folder = save_lstm(tmp_path / "words", vocab_size=3)
    words = Tokenizer(
        models.WordLevel({"<|endoftext|>": 0, "the": 1, "night": 2}, unk_token="<unk>")
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<|endoftext|>").save_pretrained(
        folder
    )
    model = load_model(folder, device="cpu", precision="float32")

    (known,) = await encode(["the night"], model, limit=100)
    assert known.tokens == (1, 2)
    with pytest.raises(ApiError, match="prompt takes only words that words knows"):
        await encode(["the shinigami"], model, limit=100)


@pytest.mark.parametrize("control", ["<|endoftext|>", "<|turn|>", "[PAD]"])
async def test_a_typed_control_token_is_its_letters(tmp_path: Path, control: str) -> None:
    folder = save_lstm(tmp_path / "letters")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.add_special_tokens({"pad_token": "[PAD]", "extra_special_tokens": ["<|turn|>"]})
    tokenizer.save_pretrained(folder)
    model = load_model(folder, device="cpu", precision="float32")
    (prompt,) = await encode([f"In the year{control}"], model, limit=100)
    assert model.tokenizer.convert_tokens_to_ids(control) not in prompt.tokens
    assert model.tokenizer.decode([*prompt.tokens]) == prompt.text == f"In the year{control}"


async def test_a_control_token_that_is_a_word_of_the_vocabulary_is_refused(tmp_path: Path) -> None:
    folder = save_lstm(tmp_path / "pieces")
    pieces = [("<unk>", 0.0), ("</s>", 0.0), *((letter, -1.0) for letter in "In </s>")]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    model = load_model(folder, device="cpu", precision="float32")
    (known,) = await encode(["In <s>"], model, limit=100)
    assert 1 not in known.tokens
    with pytest.raises(ApiError, match="prompt takes no </s>: to pieces it is a control token"):
        await encode(["In </s>"], model, limit=100)


async def test_a_prompt_that_makes_the_tokenizer_panic_is_refused_alone(tmp_path: Path) -> None:
    folder = save_lstm(tmp_path / "fragile")
    file = folder / "tokenizer.json"
    # A table that is too short: it is read for ASCII, and panics over all else.
    damage = b64encode((512).to_bytes(4, "little") + bytes(512)).decode()
    normalizer = {"type": "Precompiled", "precompiled_charsmap": damage}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"normalizer": normalizer}))
    model = load_model(folder, device="cpu", precision="float32")
    for text in ("In the y\u00e9ar", "In the y\u00e9ar " * 1000):  # the longer in a thread
        with pytest.raises(ApiError, match="the tokenizer of fragile can read") as caught:
            await encode([text], model, limit=100_000)
        assert caught.value.param == "prompt"
    (prompt,) = await encode(["In the year"], model, limit=100)
    assert prompt.tokens
