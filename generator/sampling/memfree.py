"""Stories without passages of the training texts: MemFree decoding.

A token that would complete an n-gram of the training texts is struck out and another one drawn
(Ippolito et al. 2022, "Preventing Verbatim Memorization in Language Models Gives a False Sense of
Privacy", arXiv 2210.17546). The n-grams stand in a Bloom filter (Bloom 1970) beside the weights:
it forgets none, and takes one in three hundred others for one of them, which costs a story no more
than another word. Tokens that go on with a word are drawn freely, lest one be misspelt, as is the
end; the next word is looked at again.

So what is promised is exact in tokens: where a word begins, no story completes a run of them as the
tokenizer cuts the texts. A model that spells a passage otherwise than that (a capital, two spaces,
a word in other pieces) may still say eight of its words in a row; few stories do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

MEMFREE_FILE = "memfree.safetensors"
"""In a model folder: the bits, eight a byte, and in its metadata `ngram_size` and `hashes`."""

_NGRAM = 7
"""Eight words in a row have at least so many tokens up to the first one of the last word."""
_BITS = 12
"""Of an n-gram: with eight hashes one in 320 others is taken for one."""
_HASHES = 8
MOST_MISTAKEN = 0.1
"""Share of other n-grams that a filter may take for its own: fuller, it would spoil stories, and
full, each token would be drawn until none is left."""


class MemFreeError(Exception):
    """The file is no such filter; its text is one sentence that says why."""


@dataclass(frozen=True, slots=True)
class MemFree:
    """The n-grams of token ids that a story must not complete."""

    bits: NDArray[np.uint8]
    ngram_size: int
    hashes: int

    @classmethod
    def of(
        cls,
        texts: Iterable[list[int]],
        continuations: NDArray[np.int32],
        known: MemFree | None = None,
    ) -> Self:
        """The filter of some texts.

        Args:
            texts: token ids of each, without marks of beginning and end.
            continuations: token ids that go on with a word; no n-gram that ends with one is kept.
            known: a filter whose n-grams, of the same tokens, it shall have too. It grows no
                larger by that, so it takes more others for one of them: see `mistaken`.
        """
        size, hashes = (known.ngram_size, known.hashes) if known else (_NGRAM, _HASHES)
        rows = [np.asarray(text, np.int64) for text in texts if len(text) >= size]
        grams = [sliding_window_view(row, size) for row in rows]
        kept = [of_row[~np.isin(of_row[:, -1], continuations)] for of_row in grams]
        keys = np.unique(_keys(np.concatenate([np.empty((0, size), np.int64), *kept])))
        bits = np.zeros(max(8, -(-len(keys) * _BITS // 8) * 8), np.uint8)
        if known is not None:
            bits = np.unpackbits(known.bits, bitorder="little")
        bits[_places(keys, hashes, len(bits))] = 1
        return cls(np.packbits(bits, bitorder="little"), size, hashes)

    @classmethod
    def find(cls, name: str) -> Self | None:
        """That of a model folder or a model of the hub, if it has one.

        Raises:
            MemFreeError: the file is damaged.
        """
        if (folder := Path(name)).is_dir():
            own = folder / MEMFREE_FILE
            return cls.load(own) if own.is_file() else None
        from transformers.utils.hub import cached_file  # noqa: PLC0415  # takes a second

        file = cached_file(
            name,
            MEMFREE_FILE,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        return None if file is None else cls.load(file)

    @property
    def mistaken(self) -> float:
        """The share of other n-grams that it takes for one of its own."""
        filled: float = np.bitwise_count(self.bits).mean() / 8
        return filled**self.hashes

    def save(self, folder: Path) -> None:
        """Writes the folder's file."""
        about = {"ngram_size": str(self.ngram_size), "hashes": str(self.hashes)}
        (folder / MEMFREE_FILE).write_bytes(save({"bits": self.bits}, about))

    @classmethod
    def load(cls, file: str | Path) -> Self:
        """Reads such a file.

        Raises:
            MemFreeError: it is damaged or holds something else.
        """
        try:
            with safe_open(file, "numpy") as opened:
                about, bits = opened.metadata() or {}, opened.get_tensor("bits")
            found = cls(bits, int(about["ngram_size"]), int(about["hashes"]))
        except (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
            # The last two where the bits are of a kind that numpy has not.
            raise MemFreeError(f"{file} is no filter of n-grams") from error
        whole = bits.dtype == np.uint8 and bits.ndim == 1 and 0 < bits.size < 2**29
        if not (whole and 1 < found.ngram_size < 2**10 and 0 < found.hashes < 2**6):
            raise MemFreeError(f"{file} is no filter of n-grams")
        if found.mistaken > MOST_MISTAKEN:
            raise MemFreeError(f"{file} is so full that it forbids nearly every word")
        return found

    def holds(self, grams: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Whether each of (n, ngram_size) may be one of them; (n,)."""
        places = _places(_keys(grams), self.hashes, 8 * self.bits.size)
        found = self.bits[places >> np.uint64(3)] >> (places & np.uint64(7)).astype(np.uint8) & 1
        held: NDArray[np.bool_] = found.astype(np.bool_).all(axis=0)
        return held


def _keys(grams: NDArray[np.integer]) -> NDArray[np.uint64]:
    """A 64-bit hash of each row: a multiplication a token, then SplitMix64's finaliser.

    Equal to `copies` in native/sampling.h.
    """
    state = np.zeros(len(grams), np.uint64)
    for token in grams.astype(np.uint64).T:
        state = (state ^ token) * np.uint64(0x9E3779B97F4A7C15)
        state ^= state >> np.uint64(32)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def _places(keys: NDArray[np.uint64], hashes: int, bits: int) -> NDArray[np.uint64]:
    """(hashes, n): the bits of each key, by two hashes (Kirsch and Mitzenmacher 2006)."""
    first, step = keys & np.uint64(0xFFFFFFFF), keys >> np.uint64(32) | np.uint64(1)
    turns = np.arange(hashes, dtype=np.uint64)[:, None]
    spread = (first + turns * step) & np.uint64(0xFFFFFFFF)
    return spread * np.uint64(bits) >> np.uint64(32)
