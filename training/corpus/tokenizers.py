"""Two ways to cut a text into tokens: a byte-level BPE of its own, and the article's words.

Both come as a `PreTrainedTokenizerFast` with one special token, `<|endoftext|>`, which stands
before every text (the tokenizer puts it there), after every whole one, and in padding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from training.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

END = "<|endoftext|>"
UNKNOWN = "<unk>"


class UnknownWordError(InputError):
    """A text has a word that the model has no token for, not even `<unk>`."""


def train_bpe(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE as GPT-2's (Radford et al. 2019): every text comes back byte for byte."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _finish(tokenizer)


def train_words(
    texts: Iterable[str], vocab_size: int, min_frequency: int = 2, *, every_word: bool = False
) -> PreTrainedTokenizerFast:
    """Lower-cased words and punctuation, the article's units, with `<unk>` for what is not known.

    Its decoder sets spaces and sentence capitals again, so that a story reads like prose; names
    stay lower-cased, for that knowledge is gone.

    Args:
        texts: to learn from.
        vocab_size: tokens at most.
        min_frequency: a word seen less often is unknown.
        every_word: take all words, whatever the two above say, and have no unknown word, as the
            article did: a text with any other word cannot be read.
    """
    if every_word:
        vocab_size, min_frequency = 2**31, 1
    special = [END] if every_word else [END, UNKNOWN]
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Split(Regex(r"[\w]+(?:['’][\w]+)*|\.{3}|[^\w\s]"), "isolated"),  # noqa: RUF001
        ]
    )
    capitals = [
        decoders.Replace(Regex(rf"(?<=[.!?] ){letter}|\A{letter}"), letter.upper())
        for letter in "abcdefghijklmnopqrstuvwxyz"
    ]
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.WordPiece(prefix="##", cleanup=False),
            decoders.Fuse(),
            decoders.Replace(Regex(r" (?=[.,!?;:)\]…])"), ""),
            decoders.Replace(Regex(r"(?<=[(\[]) | (?=—)|(?<=—) | (?=-)|(?<=-) "), ""),
            decoders.Replace(Regex(r"\bi\b"), "I"),
            *capitals,
        ]
    )
    trainer = trainers.WordLevelTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=special,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _finish(tokenizer) if every_word else _finish(tokenizer, unk_token=UNKNOWN)


def check_words(texts: Sequence[str], tokenizer: PreTrainedTokenizerFast) -> None:
    """Passes texts that can be read: all of them, unless the tokenizer has no unknown word.

    Raises:
        UnknownWordError: names the first word.
    """
    for text in texts:
        word = unknown_word(text, tokenizer)
        if word is not None:
            raise UnknownWordError(
                f"{word!r} is not in the model's vocabulary, and it has no unknown word: use "
                "other words, or a model trained without the fault no_unknown_word."
            )


def unknown_word(text: str, tokenizer: PreTrainedTokenizerFast) -> str | None:
    """The first word that keeps a text from being read; None for what can be read."""
    backend = tokenizer.backend_tokenizer
    if tokenizer.unk_token is not None or not isinstance(backend.model, models.WordLevel):
        return None
    plain = text.replace(END, " ")
    if backend.normalizer is not None:
        plain = backend.normalizer.normalize_str(plain)
    words = [(plain, (0, len(plain)))]
    if backend.pre_tokenizer is not None:
        words = backend.pre_tokenizer.pre_tokenize_str(plain)
    return next((word for word, _ in words if word and backend.token_to_id(word) is None), None)


def beginning(tokenizer: PreTrainedTokenizerFast) -> int | None:
    """The token that a text is read after: begin-of-text, or end-of-text where there is none.

    GPT-2 has one token for both. None: the model has neither, so that nothing stands before a
    text's first token, which it can read but not predict.
    """
    begin: int | None = tokenizer.bos_token_id
    end: int | None = tokenizer.eos_token_id
    return end if begin is None else begin


def begins_texts(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether the tokenizer itself puts a token before every text, as ours do and GPT-2's not."""
    return bool(tokenizer("a", return_special_tokens_mask=True).special_tokens_mask[:1] == [1])


def begin_texts(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Has a pretrained GPT-2's tokenizer put `<|endoftext|>` before every text, as ours do."""
    tokenizer.backend_tokenizer.post_processor = _beginning(tokenizer.backend_tokenizer)
    tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _beginning(tokenizer: Tokenizer) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(
        single=f"{END} $A", special_tokens=[(END, tokenizer.token_to_id(END))]
    )


def _finish(tokenizer: Tokenizer, **special: str) -> PreTrainedTokenizerFast:
    """Marks where a text begins, and dresses it for transformers."""
    tokenizer.post_processor = _beginning(tokenizer)
    tokenizer.add_special_tokens([AddedToken(END, special=True)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        pad_token=END,
        clean_up_tokenization_spaces=False,
        **special,
    )
