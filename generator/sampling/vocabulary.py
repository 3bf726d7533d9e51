"""What is known of a model's tokens when one is drawn."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from tokenizers.decoders import ByteLevel

from generator.text.transcript import REPLACEMENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    from generator.sampling.memfree import MemFree


_BEFORE_A_WORD = (" ", ' "', " (", "-")
"""What a story has there; without any of it, a run of tokens might be the end of another word."""


def _none() -> NDArray[np.int32]:
    return np.empty(0, np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Token ids by what they are to a story."""

    ends: tuple[int, ...] = ()
    """They end it."""
    continuations: NDArray[np.int32] = field(default_factory=_none)
    """They go on with a word; in ascending order."""
    growing: NDArray[np.int32] = field(default_factory=_none)
    """They would make another word of one that stands before them; in ascending order."""
    suppressed: NDArray[np.int32] = field(default_factory=_none)
    """They are never drawn."""
    bad_words: NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 1), np.int32))
    """Runs of tokens that no story completes, one a row, those that are shorter behind -1."""
    memfree: MemFree | None = None
    """The n-grams that no story completes where its rules say so."""

    @property
    def memfree_exempt(self) -> NDArray[np.int32]:
        """Those that complete no n-gram of `memfree`: they end a story, or go on with a word."""
        return np.union1d(self.continuations, np.array(self.ends, np.int32))


def continuations(backend: Tokenizer, size: int) -> NDArray[np.int32]:
    """Token ids that go on with a word: letters or digits without the space before them.

    None for tokens that are whole words.
    """
    if not isinstance(backend.decoder, ByteLevel):
        return _none()
    found = [token for token in range(size) if _goes_on(backend.id_to_token(token) or "")]
    return np.array(found, np.int32)


def _goes_on(token: str) -> bool:
    """Whether a byte-level token begins inside a word, or inside a character beyond ASCII.

    Such tokens write the bytes 0 to 32, spaces among them, as U+0100 to U+0120. The rest of "don't"
    or "Ken's" is inside as well.
    """
    first = token[:1].lstrip("'") or token[1:2]
    return first.isalnum() if first.isascii() else not "\u0100" <= first <= "\u0120"


def growing(backend: Tokenizer, size: int) -> NDArray[np.int32]:
    """Token ids that a letter or digit of the token before them stands directly beside.

    An apostrophe, which "Musk's" has, is none.
    """
    with suppress(Exception):  # one of whole words may know no such word
        letter = backend.encode("a", add_special_tokens=False).ids
        if backend.decode(letter) == "a":
            pairs = backend.decode_batch([[*letter, token] for token in range(size)])
            found = [token for token, pair in enumerate(pairs) if _grows(pair[1:2])]
            return np.array(found, np.int32)
    return _none()


def _grows(first: str) -> bool:
    """Whether a character, which may be half of one, belongs to the word before it."""
    return first.isalnum() or first == REPLACEMENT or unicodedata.category(first or " ")[0] == "M"


def bad_words(backend: Tokenizer, texts: Iterable[str]) -> NDArray[np.int32]:
    """What a model's tokenizer makes of words that no story is to have: `Vocabulary.bad_words`.

    Each as it is written, and if that is in small letters with its first letter and with that of
    each word as a capital; the last token of each whole and as two. What the tokenizer cannot
    spell is left out: the model cannot either.
    """
    runs: set[tuple[int, ...]] = set()
    for text in texts:
        capital = (text[:1].upper() + text[1:], text.title()) if text.islower() else ()
        for form in {text, *capital}:
            for before in _BEFORE_A_WORD:
                runs.update(_spellings(backend, before + form))
    width = max(map(len, runs), default=1)
    rows = sorted((*[-1] * (width - len(run)), *run) for run in runs)
    return np.array(rows, np.int32).reshape(-1, width)


def _spellings(backend: Tokenizer, text: str) -> Iterator[tuple[int, ...]]:
    try:
        *first, last = backend.encode(text, add_special_tokens=False).ids
        same = backend.decode([*first, last]).strip() == text.strip()
    except Exception:  # noqa: BLE001  # tokenizers raises nothing narrower
        return
    if not same:
        return
    yield (*first, last)
    spelt = backend.id_to_token(last) or ""
    for cut in range(1, len(spelt)):
        one, other = backend.token_to_id(spelt[:cut]), backend.token_to_id(spelt[cut:])
        if one is not None and other is not None:
            yield (*first, one, other)
