"""The same draws in C++ on a CPU, without sorting the vocabulary: see native/sampling.h."""

from __future__ import annotations

from ctypes import Structure, byref, c_int32, c_uint64, c_void_p
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from generator.native import library
from generator.sampling.beams import Ways, first_of, least_kept
from generator.sampling.rules import layout

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from generator.native import Threads
    from generator.sampling.rules import Rules
    from generator.sampling.vocabulary import Vocabulary


class NativeSampler:
    """Draws on a CPU, as `TorchSampler` does and many times as fast."""

    def __init__(
        self,
        rules: Rules,
        history: NDArray[np.int32],
        vocabulary: Vocabulary,
        threads: Threads,
    ) -> None:
        """As for `TorchSampler`, with the threads that draw."""
        ends = np.array(vocabulary.ends, np.int32)
        memfree = vocabulary.memfree
        self._rules = rules
        self._held = history, vocabulary, ends
        self._library = library()
        declared = self._library.rules_layout().decode()
        if declared != layout():
            raise RuntimeError(f"native/sampling.h declares other rules: {declared}")
        self._stories = _Stories(
            history=history.ctypes.data,
            ends=ends.ctypes.data,
            continuations=vocabulary.continuations.ctypes.data,
            growing=vocabulary.growing.ctypes.data,
            suppressed=vocabulary.suppressed.ctypes.data,
            bad_words=vocabulary.bad_words.ctypes.data,
            memfree=None if memfree is None else memfree.bits.ctypes.data,
            memfree_bits=0 if memfree is None else 8 * memfree.bits.size,
            end_count=len(ends),
            continuation_count=len(vocabulary.continuations),
            growing_count=len(vocabulary.growing),
            suppressed_count=len(vocabulary.suppressed),
            bad_word_count=len(vocabulary.bad_words),
            bad_word_width=vocabulary.bad_words.shape[1],
            context=history.shape[1],
            ngram_size=0 if memfree is None else memfree.ngram_size,
            hashes=0 if memfree is None else memfree.hashes,
        )
        self._threads = threads
        self._least = least_kept(vocabulary)

    def draw(
        self, logits: Tensor, slots: NDArray[np.int32], lengths: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """See `TorchSampler.draw`; the logits are on the CPU, each row without gaps."""
        drawn = np.empty(len(slots), np.int32)
        self._stories.vocabulary, self._stories.stride = logits.shape[1], logits.stride(0)
        self._library.draw_tokens(
            self._threads.pointer,
            self._rules.rows.ctypes.data,
            byref(self._stories),
            len(slots),
            slots.ctypes.data,
            lengths.ctypes.data,
            logits.data_ptr(),
            drawn.ctypes.data,
        )
        return drawn

    def ways(
        self,
        logprobs: Tensor,
        scores: NDArray[np.float32],
        slots: NDArray[np.int32],
        lengths: NDArray[np.int32],
        width: int,
    ) -> Ways:
        """See `TorchSampler.ways`; the log probabilities are on the CPU, rows without gaps."""
        beams, vocabulary = logprobs.shape
        wanted = width * self._least
        shape = beams, min(wanted, vocabulary)
        tokens = np.zeros(shape, np.int32)
        values, keys = np.empty(shape, np.float32), np.empty(shape, np.float32)
        self._stories.vocabulary, self._stories.stride = vocabulary, logprobs.stride(0)
        self._library.search_tokens(
            self._threads.pointer,
            self._rules.rows.ctypes.data,
            byref(self._stories),
            beams,
            slots.ctypes.data,
            lengths.ctypes.data,
            logprobs.data_ptr(),
            shape[1],
            self._least,
            tokens.ctypes.data,
            values.ctypes.data,
            keys.ctypes.data,
        )
        return first_of(scores, tokens, values, keys, wanted)


class _Stories(Structure):
    _fields_: ClassVar = [
        ("history", c_void_p),
        ("ends", c_void_p),
        ("continuations", c_void_p),
        ("growing", c_void_p),
        ("suppressed", c_void_p),
        ("bad_words", c_void_p),
        ("memfree", c_void_p),
        ("memfree_bits", c_uint64),
        ("end_count", c_int32),
        ("continuation_count", c_int32),
        ("growing_count", c_int32),
        ("suppressed_count", c_int32),
        ("bad_word_count", c_int32),
        ("bad_word_width", c_int32),
        ("context", c_int32),
        ("ngram_size", c_int32),
        ("hashes", c_int32),
        ("vocabulary", c_int32),
        ("stride", c_int32),
    ]
