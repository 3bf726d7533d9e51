from __future__ import annotations

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
