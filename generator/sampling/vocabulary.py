"""What is known of a model's tokens when one is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from tokenizers.decoders import ByteLevel

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    from generator.sampling.memfree import MemFree


def _none() -> NDArray[np.int32]:
    return np.empty(0, np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Token ids by what they are to a story."""

    ends: tuple[int, ...] = ()
    """They end it."""
    continuations: NDArray[np.int32] = field(default_factory=_none)
    """They go on with a word; in ascending order."""
    suppressed: NDArray[np.int32] = field(default_factory=_none)
    """They are never drawn."""
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
