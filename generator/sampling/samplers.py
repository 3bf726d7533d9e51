"""Drawing the next token of many stories at once, each by its own rules and seed.

Every rule but the first three is a floor under the logits, so no rule sorts the vocabulary. What is
left is drawn by argmax(p / Exp(1)), the exponential race (equal to Gumbel-max, Gumbel 1954), with
noise hashed from (seed, position, token): a draw depends on nothing but its own story.
"""

from __future__ import annotations

from ctypes import Structure, byref, c_int32, c_uint64, c_void_p
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from generator.native import library

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from generator.native import Threads
    from generator.sampling.requests import Request
    from generator.sampling.vocabulary import Vocabulary

_NUCLEUS = 1024  # likeliest tokens looked at first for top-p; four times as many while too few
_WORD = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Rules:
    """The sampling settings of many stories: one column a rule, one entry a slot."""

    temperature: NDArray[np.float32]
    top_k: NDArray[np.int32]
    top_p: NDArray[np.float32]
    min_p: NDArray[np.float32]
    repetition_penalty: NDArray[np.float32]
    no_repeat_ngram_size: NDArray[np.int32]
    min_length: NDArray[np.int32]
    """Length of prompt and story below which the end token is not drawn."""
    new_word_at: NDArray[np.int32]
    """Length at which a new word has to begin; -1: nowhere."""
    memfree: NDArray[np.int32]
    """1: no token completes an n-gram of the training texts."""
    seed: NDArray[np.uint64]

    @classmethod
    def of(cls, slots: int) -> Self:
        """Columns for so many slots; each is set by `put` before it is read."""
        floats, ints = np.zeros((4, slots), np.float32), np.zeros((5, slots), np.int32)
        return cls(
            temperature=floats[0],
            top_k=ints[0],
            top_p=floats[1],
            min_p=floats[2],
            repetition_penalty=floats[3],
            no_repeat_ngram_size=ints[1],
            min_length=ints[2],
            new_word_at=ints[3],
            memfree=ints[4],
            seed=np.zeros(slots, np.uint64),
        )

    def put(self, slot: int, request: Request) -> None:
        """The slot now tells this request."""
        sampling = request.sampling
        self.temperature[slot] = sampling.temperature
        self.top_k[slot] = sampling.top_k
        self.top_p[slot] = sampling.top_p
        self.min_p[slot] = sampling.min_p
        self.repetition_penalty[slot] = sampling.repetition_penalty
        self.no_repeat_ngram_size[slot] = sampling.no_repeat_ngram_size
        self.min_length[slot] = len(request.prompt) + request.min_tokens
        self.new_word_at[slot] = len(request.prompt) if request.begin_word else -1
        self.memfree[slot] = sampling.memfree
        self.seed[slot] = request.seed

    def rows(self, slots: NDArray[np.integer]) -> Rules:
        """The columns of these slots, in this order."""
        return Rules(*(getattr(self, column.name)[slots] for column in fields(self)))


class TorchSampler:
    """Draws on any device: what the rules mean, in torch."""

    def __init__(
        self,
        rules: Rules,
        history: NDArray[np.int32],
        vocabulary: Vocabulary,
    ) -> None:
        """Keeps views of the engine's columns.

        Args:
            rules: of every slot.
            history: (slots, context), tokens of prompt and story.
            vocabulary: of the model.
        """
        self._rules, self._history, self._vocabulary = rules, history, vocabulary
        self._exempt = vocabulary.memfree_exempt
        self._suppressed = torch.from_numpy(vocabulary.suppressed.astype(np.int64))

    @torch.inference_mode()
    def draw(
        self, logits: Tensor, slots: NDArray[np.int32], lengths: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """One token for each row.

        Args:
            logits: (n, vocabulary) float32; overwritten.
            slots: (n,), whose rules and history go with each row.
            lengths: (n,), tokens so far in prompt and story.
        """
        rules = self._rules.rows(slots)
        if len(self._suppressed):
            logits[:, self._suppressed.to(logits.device)] = -torch.inf
        for row, (slot, length) in enumerate(zip(slots, lengths, strict=True)):
            self._forbid(logits[row], row, rules, self._history[slot, :length])
        drawn = _race(logits, rules, lengths)
        rows = self._copied(logits, drawn, slots, lengths)
        while len(rows):
            logits[rows, drawn[rows]] = -torch.inf
            drawn[rows] = _race(logits[rows], rules.rows(rows), lengths[rows])
            rows = rows[self._copied(logits[rows], drawn[rows], slots[rows], lengths[rows])]
        return drawn

    def _copied(
        self,
        logits: Tensor,
        drawn: NDArray[np.int32],
        slots: NDArray[np.int32],
        lengths: NDArray[np.int32],
    ) -> NDArray[np.intp]:
        """The rows whose token completes an n-gram of the training texts, where others are left."""
        memfree = self._vocabulary.memfree
        if memfree is None:
            return np.empty(0, np.intp)
        before = memfree.ngram_size - 1
        looked_at = (self._rules.memfree[slots] == 1) & (lengths >= before)
        rows = np.flatnonzero(looked_at & ~np.isin(drawn, self._exempt))
        context = self._history[slots[rows, None], lengths[rows, None] + np.arange(-before, 0)]
        rows = rows[memfree.holds(np.column_stack([context, drawn[rows]]))]
        if not len(rows):  # as nearly always: a GPU need not answer
            return rows
        others: NDArray[np.bool_] = (logits[rows, drawn[rows]] > -torch.inf).cpu().numpy()
        return rows[others]

    def _forbid(self, logits: Tensor, row: int, rules: Rules, history: NDArray[np.int32]) -> None:
        """The rules that look at a story so far, on its own (vocabulary,) logits."""
        penalty, size = float(rules.repetition_penalty[row]), int(rules.no_repeat_ngram_size[row])
        if penalty != 1:
            used = torch.from_numpy(history).to(logits.device, torch.long)
            used_logits = logits[used]
            logits[used] = torch.where(
                used_logits < 0, used_logits * penalty, used_logits / penalty
            )
        if 0 < size <= len(history):
            grams = np.lib.stride_tricks.sliding_window_view(history, size)
            same = (grams[:, :-1] == history[len(history) - size + 1 :]).all(axis=1)
            logits[
                torch.from_numpy(grams[same, -1].astype(np.int64)).to(logits.device)
            ] = -torch.inf
        if len(history) < rules.min_length[row]:
            logits[list(self._vocabulary.ends)] = -torch.inf
        if len(history) == rules.new_word_at[row]:
            logits[torch.from_numpy(self._vocabulary.continuations).to(logits.device)] = -torch.inf


class CompiledSampler:
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
        self._held = rules, history, vocabulary, ends
        self._rules = _Columns(
            *(getattr(rules, column.name).ctypes.data for column in fields(rules))
        )
        self._stories = _Stories(
            history=history.ctypes.data,
            ends=ends.ctypes.data,
            continuations=vocabulary.continuations.ctypes.data,
            suppressed=vocabulary.suppressed.ctypes.data,
            memfree=None if memfree is None else memfree.bits.ctypes.data,
            memfree_bits=0 if memfree is None else 8 * memfree.bits.size,
            end_count=len(ends),
            continuation_count=len(vocabulary.continuations),
            suppressed_count=len(vocabulary.suppressed),
            context=history.shape[1],
            ngram_size=0 if memfree is None else memfree.ngram_size,
            hashes=0 if memfree is None else memfree.hashes,
        )
        self._threads = threads

    def draw(
        self, logits: Tensor, slots: NDArray[np.int32], lengths: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """See `TorchSampler.draw`; the logits are on the CPU, each row without gaps."""
        drawn = np.empty(len(slots), np.int32)
        self._stories.vocabulary, self._stories.stride = logits.shape[1], logits.stride(0)
        library().draw_tokens(
            self._threads.pointer,
            byref(self._rules),
            byref(self._stories),
            len(slots),
            slots.ctypes.data,
            lengths.ctypes.data,
            logits.data_ptr(),
            drawn.ctypes.data,
        )
        return drawn


class _Columns(Structure):
    _fields_: ClassVar = [(column.name, c_void_p) for column in fields(Rules)]


class _Stories(Structure):
    _fields_: ClassVar = [
        ("history", c_void_p),
        ("ends", c_void_p),
        ("continuations", c_void_p),
        ("suppressed", c_void_p),
        ("memfree", c_void_p),
        ("memfree_bits", c_uint64),
        ("end_count", c_int32),
        ("continuation_count", c_int32),
        ("suppressed_count", c_int32),
        ("context", c_int32),
        ("ngram_size", c_int32),
        ("hashes", c_int32),
        ("vocabulary", c_int32),
        ("stride", c_int32),
    ]


def _race(logits: Tensor, rules: Rules, lengths: NDArray[np.int32]) -> NDArray[np.int32]:
    """One token for each row of (n, vocabulary) logits, by the rules that need no story."""
    floats = torch.from_numpy(np.stack([rules.temperature, rules.min_p])).to(logits.device)
    temperature, min_p = floats[:, :, None]
    greedy = temperature[:, 0] == 0
    scaled = logits / torch.where(temperature == 0, 1, temperature)
    scaled, tokens = _likeliest(scaled, rules)
    if min_p.any():
        best = scaled.amax(1, keepdim=True)
        scaled = scaled.masked_fill(scaled < best + min_p.log(), -torch.inf)
    race = scaled - _exponential_noise(rules.seed, lengths, tokens).log()
    winners = torch.where(greedy, scaled.argmax(1), race.argmax(1))
    return tokens.gather(1, winners[:, None])[:, 0].to("cpu", torch.int32).numpy()


def _likeliest(scaled: Tensor, rules: Rules) -> tuple[Tensor, Tensor]:
    """Top-k and top-p: the logits that remain, others -inf, and their tokens, both (n, kept).

    Args:
        scaled: (n, vocabulary), already divided by the temperature.
        rules: of these rows.
    """
    rows, vocabulary = scaled.shape
    top_k = np.where(rules.top_k == 0, vocabulary, np.minimum(rules.top_k, vocabulary))
    nucleus = rules.top_p < 1
    if not nucleus.any() and top_k.max() == vocabulary:
        return scaled, torch.arange(vocabulary, device=scaled.device).expand(rows, vocabulary)
    ranks = torch.from_numpy(top_k.astype(np.int64)).to(scaled.device)[:, None]
    top_p = torch.from_numpy(rules.top_p).to(scaled.device)[:, None]
    # Rows without top-k keep the whole vocabulary unless top-p cuts it.
    kept = int(np.where(nucleus & (top_k == vocabulary), min(_NUCLEUS, vocabulary), top_k).max())
    while True:
        values, tokens = scaled.topk(kept, dim=1)
        within = torch.arange(kept, device=scaled.device) < ranks
        values = values.masked_fill(~within, -torch.inf)
        # Top-p counts what top-k left: all of it is in `values` unless k is the vocabulary.
        whole = torch.where(
            ranks > kept, scaled.logsumexp(1, keepdim=True), values.logsumexp(1, keepdim=True)
        )
        mass = (values - whole).exp().cumsum(1)
        enough = (mass[:, -1] >= top_p[:, 0]) | (ranks[:, 0] <= kept)
        if kept == vocabulary or bool(enough.all()):
            break
        kept = min(4 * kept, vocabulary)
    before = mass.roll(1, dims=1)
    before[:, 0] = 0
    cut = (before >= top_p) & (top_p < 1)
    return values.masked_fill(cut, -torch.inf), tokens


def _exponential_noise(
    seed: NDArray[np.uint64], position: NDArray[np.int32], tokens: Tensor
) -> Tensor:
    """Exponential noise for each (seed, position, token); (n, kept) float32, like `tokens`.

    A hash in the manner of SplitMix64 (Steele et al. 2014) for the two keys of a row, and one of
    MurmurHash3's finaliser over them for each token.
    """
    state = seed + (position.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    keys = np.stack([state & np.uint64(_WORD), state >> np.uint64(32)]).astype(np.int64)
    low, high = torch.from_numpy(keys).to(tokens.device)[:, :, None]
    bits = (tokens * 0x9E3779B1 + low) & _WORD
    bits = ((bits ^ (bits >> 16)) * 0x85EBCA6B) & _WORD
    bits = (((bits ^ (bits >> 13)) ^ high) * 0xC2B2AE35) & _WORD
    bits ^= bits >> 16
    uniform: Tensor = ((bits >> 9).float() + 0.5) * 2.0**-23  # 23 bits: never 0, never 1
    return -uniform.log()
