"""What is known of tokens: which go on with a word, and how words that are not told are spelt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from generator.sampling.vocabulary import bad_words, growing
from tests.generator.small_models import word_tokenizer

STARTER = Tokenizer.from_file(str(Path("models/gpt2-starter/tokenizer.json").resolve()))


def pieces(spelt: list[str], *, mark: str) -> Tokenizer:
    """A tokenizer in Llama's manner (mark "▁", before a word) or BERT's ("##", inside one)."""
    vocabulary = {token: index for index, token in enumerate(spelt)}
    if mark == "##":
        tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=spelt[0]))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.decoder = decoders.WordPiece(mark)
        return tokenizer
    tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer


@pytest.mark.parametrize(
    ("tokenizer", "grow", "keep_off"),
    [
        (STARTER, ["ing", "7", "Ã", "Â"], ["Ġcat", "Ġ", "'s", "-", ",", "."]),
        (
            pieces(
                ["<unk>", "▁", "a", "▁cat", "ing", "'", "’", "<0xC3>", ",", "é"],  # noqa: RUF001
                mark="▁",
            ),
            ["a", "ing", "<0xC3>", "é"],
            ["▁", "▁cat", "'", "’", ","],  # noqa: RUF001
        ),
        (pieces(["[UNK]", "a", "cat", "##ing", ","], mark="##"), ["##ing"], ["a", "cat", ","]),
    ],
)
def test_what_grows_a_word_is_told_by_each_kind_of_tokenizer(
    tokenizer: Tokenizer, grow: list[str], keep_off: list[str]
) -> None:
    found = set(growing(tokenizer, tokenizer.get_vocab_size()).tolist())
    assert {tokenizer.token_to_id(token) for token in grow} <= found
    assert found.isdisjoint(tokenizer.token_to_id(token) for token in keep_off)


def test_tokens_that_are_whole_words_grow_none() -> None:
    tokenizer = word_tokenizer()
    assert not len(growing(tokenizer, tokenizer.get_vocab_size()))


def test_a_bad_word_is_known_however_it_is_written() -> None:
    runs = bad_words(STARTER, ["anime", "music video"])
    known = {tuple(token for token in run if token >= 0) for run in runs.tolist()}
    for text in (" anime", " Anime", ' "Anime', "-anime", " music video", " Music Video"):
        assert tuple(STARTER.encode(text, add_special_tokens=False).ids) in known
    halves = tuple(STARTER.token_to_id(token) for token in ("Ġan", "ime"))
    assert halves in known
    # No run may be the end of another word.
    assert all(STARTER.decode(run)[0] in ' "(-' for run in known)


def test_what_a_tokenizer_cannot_spell_is_no_bad_word() -> None:
    runs = bad_words(pieces(["[UNK]", "a", "cat"], mark="##"), ["cat", "season"])
    assert runs.dtype == np.int32
    assert {run[-1] for run in runs.tolist()} == {2}
    assert bad_words(STARTER, []).shape == (0, 1)
