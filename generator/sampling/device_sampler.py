"""Drawing for all slots at once where the model is: what a CUDA graph of a step can hold.

Row i is slot i. Tokens, rules, histories and counts stay on the device; the host says which rows
tell a story, and what a newcomer's prompt is. On a GPU a few kernels draw, without one answer to
the host; elsewhere `TorchSampler`, the reference, draws from the same state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from generator.sampling.rules import ROW
from generator.sampling.torch_sampler import TorchSampler

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from torch import Tensor

    from generator.sampling.rules import Rules
    from generator.sampling.vocabulary import Vocabulary

_WORDS = ROW.itemsize // 4
_BLOCK = 1024
_ROW_BLOCK = 8192
_WORDS_BLOCK = 256
_ROW_WARPS = 16
_CONTINUES = 4
"""Of a token's classes: it goes on with a word."""


class DeviceSampler:
    """State of all slots' stories, and the draw of each one's next token."""

    def __init__(
        self,
        rules: Rules,
        context: int,
        vocabulary: Vocabulary,
        size: int,
        device: torch.device,
        *,
        fused: bool,
    ) -> None:
        """Prepares a row for each of the rules', and one more that nobody reads.

        Args:
            rules: of every slot, on the host; a row is read when its story begins.
            context: tokens of prompt and story at most.
            vocabulary: of the model.
            size: of its logits.
            device: where all of it is.
            fused: whether to draw by the GPU's kernels.
        """
        slots = len(rules.rows)
        self._rules, self._context, self._size, self._fused = rules, context, size, fused
        self.slots = slots

        def zeros(*shape: int, dtype: torch.dtype = torch.int32) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        self.places = zeros(2, slots)
        """Position that each row reads next, -1 where it tells nothing; the token that it reads
        there if the host knows it, else -1."""
        self.drawn = zeros(slots)
        """The token that each row drew last."""
        self._tokens = zeros(slots)
        self._history = zeros(slots + 1, context)
        self._rows = torch.arange(slots, device=device)
        if fused:
            self._device_rules = zeros(slots, _WORDS)
            self._seen = zeros(slots + 1, size, dtype=torch.uint8)
            self._one = torch.ones((), dtype=torch.uint8, device=device)
            self._told = zeros(slots, size, dtype=torch.int16)
            self._scores = zeros(slots, size, dtype=torch.float32)
            blocks = -(-size // _BLOCK)
            self._peaks = zeros(2, slots, blocks, dtype=torch.float32)
            self._leaders = zeros(2, slots, blocks)
            self._classes = torch.from_numpy(_classes(vocabulary, size)).to(device)
            self._bad_words = torch.from_numpy(vocabulary.bad_words).to(device)
            memfree = vocabulary.memfree
            bits = np.zeros(1, np.uint8) if memfree is None else memfree.bits
            self._filter = torch.from_numpy(bits).to(device)
            self._ngram = 0 if memfree is None else memfree.ngram_size
            self._hashes = 0 if memfree is None else memfree.hashes
        else:
            self._reference = TorchSampler(rules, self._history.numpy(), vocabulary)

    @property
    def memory(self) -> int:
        """Bytes of its state."""
        return sum(part.nbytes for part in vars(self).values() if isinstance(part, torch.Tensor))

    def begin(self, slots: Iterable[int]) -> None:
        """New stories are in these slots."""
        if not self._fused:
            return
        rows = torch.from_numpy(self._rules.rows.view(np.int32).reshape(self.slots, _WORDS))
        self._device_rules.copy_(rows, non_blocking=True)
        new = torch.tensor(list(slots)).to(self._seen.device)
        self._seen[new], self._told[new] = 0, 0

    def read_prompt(self, tokens: Tensor, slots: Tensor, positions: Tensor) -> None:
        """Notes tokens of prompts: (n,) each, in any order; of slot `slots` nobody reads."""
        self._history[slots, positions] = tokens
        if self._fused:
            self._seen.index_put_((slots, tokens), self._one)

    def read(self) -> tuple[Tensor, Tensor, Tensor]:
        """What the rows read in this step: tokens, slots and positions, (slots,) each.

        A row that tells nothing reads something into the slot that nobody reads.
        """
        positions, given = self.places
        if self._fused:
            from generator.sampling import triton_draw as kernels  # noqa: PLC0415

            kernels.read_tokens[(self.slots,)](
                positions,
                given,
                self.drawn,
                self._tokens,
                self._history,
                self._seen,
                self._told,
                self._device_rules,
                self._context,
                self._size,
                RULE_WORDS=_WORDS,
                PROMPT_LENGTH=_word("prompt_length"),
                num_warps=1,
            )
        else:
            self._tokens.copy_(torch.where(given >= 0, given, self.drawn))
            self._tokens.masked_fill_(positions < 0, 0)
            where = positions >= 0
            self._history[self._rows[where], positions[where]] = self._tokens[where]
        slots = self._rows.masked_fill(positions < 0, self.slots)
        return self._tokens, slots, positions.clamp(min=0)

    def draw(self, logits: Tensor) -> None:
        """Draws the next token of each row that tells a story, and moves its position on.

        Args:
            logits: (slots, size) in any floating type; overwritten.
        """
        positions, given = self.places
        if not self._fused:
            slots = (positions >= 0).nonzero()[:, 0].numpy().astype(np.int32)
            if len(slots):
                lengths = positions.numpy()[slots] + 1
                tokens = self._reference.draw(logits[slots].float(), slots, lengths)
                self.drawn[slots] = torch.from_numpy(tokens)
                positions[slots] += 1
                given[slots] = -1
            return
        from generator.sampling import triton_draw as kernels  # noqa: PLC0415
        from generator.sampling import triton_rules as forbidding  # noqa: PLC0415

        rules = {"RULE_WORDS": _WORDS, "SEED": _word("seed")}
        forbidding.forbid_repeats[(self.slots,)](
            logits,
            positions,
            self._history,
            self._device_rules,
            self._classes,
            self._context,
            logits.stride(0),
            RULE_WORDS=_WORDS,
            NO_REPEAT=_word("no_repeat_ngram_size"),
            CONTINUES=_CONTINUES,
            BLOCK=512,
        )
        if count := len(self._bad_words):
            forbidding.forbid_bad_words[(self.slots, -(-count // _WORDS_BLOCK))](
                logits,
                positions,
                self._history,
                self._bad_words,
                count,
                self._context,
                logits.stride(0),
                WIDTH=self._bad_words.shape[1],
                BLOCK=_WORDS_BLOCK,
            )
        blocks = self._peaks.shape[2]
        kernels.weigh[(self.slots, blocks)](
            logits,
            self._scores,
            self._peaks,
            self._leaders,
            positions,
            self._classes,
            self._seen,
            self._told,
            self._device_rules,
            self._size,
            logits.stride(0),
            TEMPERATURE=_word("temperature"),
            REPETITION=_word("repetition_penalty"),
            FREQUENCY=_word("frequency_penalty"),
            PRESENCE=_word("presence_penalty"),
            MIN_LENGTH=_word("min_length"),
            NEW_WORD_AT=_word("new_word_at"),
            BLOCK=_BLOCK,
            **rules,
        )
        kernels.draw_tokens[(self.slots,)](
            self._scores,
            self._peaks,
            self._leaders,
            blocks,
            positions,
            given,
            self.drawn,
            self._history,
            self._device_rules,
            self._classes,
            self._filter,
            8 * self._filter.numel(),
            self._context,
            self._size,
            TEMPERATURE=_word("temperature"),
            TOP_K=_word("top_k"),
            TOP_P=_word("top_p"),
            MIN_P=_word("min_p"),
            MEMFREE=_word("memfree"),
            NGRAM=self._ngram,
            HASHES=self._hashes,
            BLOCKS=_power_of_two(blocks),
            BLOCK=min(_ROW_BLOCK, _power_of_two(self._size)),
            num_warps=_ROW_WARPS,
            **rules,
        )


def _power_of_two(number: int) -> int:
    """The first that is not below the number."""
    return 1 << (number - 1).bit_length()


def _word(name: str) -> int:
    """Where a rule stands in its row, in words of four bytes."""
    offsets = {name: offset for name, (_, offset, *_) in (ROW.fields or {}).items()}
    return offsets[name] // 4


def _classes(vocabulary: Vocabulary, size: int) -> NDArray[np.uint8]:
    """What each token is, as bits: see `triton_draw`."""
    classes = np.zeros(size, np.uint8)
    ends = np.array(vocabulary.ends, np.int32)
    kinds = (vocabulary.suppressed, ends, vocabulary.continuations, vocabulary.growing)
    for bit, tokens in enumerate(kinds):  # of which the third is `_CONTINUES`
        classes[tokens] |= 1 << bit
    return classes
