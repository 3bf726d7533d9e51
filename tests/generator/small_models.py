"""Small models and tokenizers for the server's tests, made here in moments."""

from __future__ import annotations

from functools import cache

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

PROSE = (
    "In the year 1990 a young man named Ren came to the school on the hill. "
    "Nobody knew where he came from, and nobody dared to ask. "
    '"You are late," said Dr. Mori, and closed the gate behind him. '
    "After years of war the shinigami had learned to wait... and the night was long! "
    "物語は夜に始まる。語り部は火のそばに座った。"
)


@cache
def byte_level_tokenizer() -> Tokenizer:
    """A byte-level BPE like GPT-2's, small enough that many characters take several tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        show_progress=False,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator([PROSE] * 3, trainer)
    return tokenizer


def word_tokenizer() -> Tokenizer:
    """Lower-cased words, joined by spaces when decoded."""
    words = ["<unk>", "in", "the", "year", "a", "young", "man", "came", "."]
    tokenizer = Tokenizer(
        models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer
