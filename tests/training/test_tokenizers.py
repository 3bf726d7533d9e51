"""Both tokenizers, from texts to ids and back, also through their folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from training.corpus.tokenizers import END, UNKNOWN, train_bpe, train_words

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = [
    "The fox can't sleep; it watches the half-moon rise over the sea.",
    "The sea sleeps. The fox watches!",
    'When the moon sleeps, "the fox" (a thief) rises... and the sea can\'t sleep.',
]


@pytest.fixture(scope="module")
def bpe() -> PreTrainedTokenizerFast:
    return train_bpe(TEXTS, 300)


@pytest.fixture(scope="module")
def words() -> PreTrainedTokenizerFast:
    return train_words(TEXTS, 100, min_frequency=1)


@pytest.mark.parametrize("text", [*TEXTS, " two  spaces\nand a line ", "naïve 語り部 🦊", ""])
def test_bpe_gives_every_text_back_byte_for_byte(bpe: PreTrainedTokenizerFast, text: str) -> None:
    assert bpe.decode(bpe(text).input_ids, skip_special_tokens=True) == text


def test_bpe_learns_from_its_texts(bpe: PreTrainedTokenizerFast) -> None:
    assert len(bpe) == 300
    assert len(bpe(" the fox").input_ids) < 1 + len(" the fox")


@pytest.mark.parametrize("kind", ["bpe", "words"])
def test_a_text_begins_with_the_one_special_token(
    kind: str, request: pytest.FixtureRequest
) -> None:
    tokenizer: PreTrainedTokenizerFast = request.getfixturevalue(kind)
    end = tokenizer.convert_tokens_to_ids(END)
    assert tokenizer("the fox").input_ids[0] == end
    assert {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id} == {end}
    assert tokenizer.convert_ids_to_tokens(tokenizer(END).input_ids) == [END, END]


@pytest.mark.parametrize("kind", ["bpe", "words"])
def test_a_folder_holds_all_of_it(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    tokenizer: PreTrainedTokenizerFast = request.getfixturevalue(kind)
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    ids = tokenizer(TEXTS[2]).input_ids
    assert loaded(TEXTS[2]).input_ids == ids
    assert loaded.decode(ids) == tokenizer.decode(ids)
    assert (loaded.bos_token, loaded.unk_token) == (tokenizer.bos_token, tokenizer.unk_token)


@pytest.mark.parametrize("text", TEXTS[:2])
def test_words_decode_to_prose(words: PreTrainedTokenizerFast, text: str) -> None:
    assert words.decode(words(text).input_ids, skip_special_tokens=True) == text


def test_words_ignore_case_and_keep_apostrophes_together(words: PreTrainedTokenizerFast) -> None:
    assert words("THE FOX CAN'T").input_ids == words("the fox can't").input_ids
    assert words.convert_ids_to_tokens(words("can't, sea...").input_ids) == [
        END, "can't", ",", "sea", "...",
    ]  # fmt: skip


def test_a_word_never_seen_is_honestly_unknown(words: PreTrainedTokenizerFast) -> None:
    ids = words("the walrus sleeps").input_ids
    assert words.convert_ids_to_tokens(ids) == [END, "the", UNKNOWN, "sleeps"]


def test_rare_words_are_left_out_of_the_vocabulary() -> None:
    tokenizer = train_words(TEXTS, 100, min_frequency=2)
    assert tokenizer.convert_tokens_to_ids("fox") != tokenizer.unk_token_id
    assert tokenizer.convert_tokens_to_ids("thief") == tokenizer.unk_token_id
