"""Drawing on a GPU: what `TorchSampler` does, in three kernels over all slots.

A row that tells no story has position -1 and is left alone. Nothing here depends on another row, so
a draw is the same in any company.
"""

# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202, C901, N803, SIM102
# Triton compiles a subset of Python: its functions have no types, and constants are in capitals.

from __future__ import annotations

import triton
import triton.language as tl

SUPPRESSED, END, CONTINUATION = tl.constexpr(1), tl.constexpr(2), tl.constexpr(4)
"""Bits of a token's class."""


@triton.jit
def read_tokens(
    positions,
    given,
    drawn,
    tokens,
    history,
    seen,
    told,
    rules,
    context,
    vocabulary,
    RULE_WORDS: tl.constexpr,
    PROMPT_LENGTH: tl.constexpr,
):
    """The token that each row reads now: what the host gave, or what was drawn last."""
    row = tl.program_id(0).to(tl.int64)
    position = tl.load(positions + row)
    token = tl.load(given + row)
    token = tl.where(token >= 0, token, tl.load(drawn + row))
    token = tl.where(position >= 0, token, 0)
    tl.store(tokens + row, token)
    if position >= 0:
        tl.store(history + row * context + position, token)
        tl.store(seen + row * vocabulary + token, 1)
        if position >= tl.load(rules + row * RULE_WORDS + PROMPT_LENGTH):
            count = told + row * vocabulary + token
            tl.store(count, tl.load(count) + 1)


@triton.jit
def weigh(
    logits,
    scores,
    positions,
    classes,
    seen,
    told,
    rules,
    vocabulary,
    RULE_WORDS: tl.constexpr,
    TEMPERATURE: tl.constexpr,
    REPETITION: tl.constexpr,
    FREQUENCY: tl.constexpr,
    PRESENCE: tl.constexpr,
    MIN_LENGTH: tl.constexpr,
    NEW_WORD_AT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Logits to scores: without suppressed tokens, with penalties, over the temperature."""
    row = tl.program_id(0).to(tl.int64)
    position = tl.load(positions + row)
    if position >= 0:
        length = position + 1
        rule = rules + row * RULE_WORDS
        temperature = tl.load(rule + TEMPERATURE).to(tl.float32, bitcast=True)
        repetition = tl.load(rule + REPETITION).to(tl.float32, bitcast=True)
        frequency = tl.load(rule + FREQUENCY).to(tl.float32, bitcast=True)
        presence = tl.load(rule + PRESENCE).to(tl.float32, bitcast=True)
        at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
        within = at < vocabulary
        place = row * vocabulary + at
        kind = tl.load(classes + at, mask=within, other=SUPPRESSED)
        score = tl.load(logits + place, mask=within, other=0.0).to(tl.float32)
        score = tl.where((kind & SUPPRESSED) != 0, float("-inf"), score)
        if repetition != 1.0:
            before = tl.load(seen + place, mask=within, other=0) != 0
            penalised = tl.where(score < 0, score * repetition, score / repetition)
            score = tl.where(before, penalised, score)
        if (frequency != 0.0) | (presence != 0.0):
            count = tl.load(told + place, mask=within, other=0).to(tl.float32)
            score = tl.where(count > 0, score - (count * frequency + presence), score)
        if length < tl.load(rule + MIN_LENGTH):
            score = tl.where((kind & END) != 0, float("-inf"), score)
        if length == tl.load(rule + NEW_WORD_AT):
            score = tl.where((kind & CONTINUATION) != 0, float("-inf"), score)
        if temperature > 0.0:
            score = score / temperature
        tl.store(scores + place, score, mask=within)


@triton.jit
def forbid_repeats(
    scores,
    positions,
    history,
    rules,
    context,
    vocabulary,
    RULE_WORDS: tl.constexpr,
    NO_REPEAT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Strikes out what would complete an n-gram for the second time."""
    row = tl.program_id(0).to(tl.int64)
    position = tl.load(positions + row)
    size = tl.load(rules + row * RULE_WORDS + NO_REPEAT)
    length = position + 1
    if (position >= 0) & (size > 0) & (size <= length):
        story = history + row * context
        last = length - size + 1
        for start in range(0, last, BLOCK):
            at = start + tl.arange(0, BLOCK)
            same = at < last
            for offset in range(size - 1):
                now = tl.load(story + last + offset)
                same = same & (tl.load(story + at + offset, mask=same, other=-1) == now)
            token = tl.load(story + at + size - 1, mask=same, other=0)
            struck = tl.full((BLOCK,), float("-inf"), tl.float32)
            tl.store(scores + row * vocabulary + token, struck, mask=same)


@triton.jit
def _rank(score):
    """Whole numbers in the order of the scores; of +0 and -0 the same."""
    bits = (score + 0.0).to(tl.int32, bitcast=True)
    return tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)


@triton.jit
def _best(scores, vocabulary, BLOCK: tl.constexpr):
    """The highest score and its token; the lowest of equals."""
    best = tl.full((), float("-inf"), tl.float32)
    winner = tl.full((), 0, tl.int32)
    for start in range(0, vocabulary, BLOCK):
        at = start + tl.arange(0, BLOCK)
        score = tl.load(scores + at, mask=at < vocabulary, other=float("-inf"))
        highest, where = tl.max(score, 0, return_indices=True)
        if highest > best:
            best = highest
            winner = (start + where).to(tl.int32)
    return best, winner


@triton.jit
def _amount(scores, vocabulary, rank, best, BY_MASS: tl.constexpr, BLOCK: tl.constexpr):
    """Of tokens with at least this rank: their number, or their weights' sum."""
    amount = tl.full((), 0.0, tl.float32)
    for start in range(0, vocabulary, BLOCK):
        at = start + tl.arange(0, BLOCK)
        score = tl.load(scores + at, mask=at < vocabulary, other=float("-inf"))
        enough = (_rank(score) >= rank) & (at < vocabulary)
        if BY_MASS:
            amount += tl.sum(tl.where(enough, tl.exp(score - best), 0.0), 0)
        else:
            amount += tl.sum(enough.to(tl.float32), 0)
    return amount


@triton.jit
def _floor(scores, vocabulary, best, floor, wanted, BY_MASS: tl.constexpr, BLOCK: tl.constexpr):
    """The highest rank, not below `floor`, from which on the tokens amount to `wanted`."""
    low = floor.to(tl.int64)
    high = _rank(best).to(tl.int64)
    while low < high:
        middle = low + (high - low + 1) // 2
        if _amount(scores, vocabulary, middle.to(tl.int32), best, BY_MASS, BLOCK) >= wanted:
            low = middle
        else:
            high = middle - 1
    return low.to(tl.int32)


@triton.jit
def _mixed(state):
    """SplitMix64's finaliser."""
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB
    return state ^ (state >> 31)


@triton.jit
def _race(scores, vocabulary, floor, seed, length, BLOCK: tl.constexpr):
    """The winner among tokens of at least this rank; noise as in `TorchSampler`."""
    keys = _mixed(seed + (length.to(tl.uint64) + 1) * 0x9E3779B97F4A7C15)
    low = keys.to(tl.uint32)
    high = (keys >> 32).to(tl.uint32)
    best = tl.full((), float("-inf"), tl.float32)
    winner = tl.full((), 0, tl.int32)
    for start in range(0, vocabulary, BLOCK):
        at = start + tl.arange(0, BLOCK)
        score = tl.load(scores + at, mask=at < vocabulary, other=float("-inf"))
        bits = at.to(tl.uint32) * 0x9E3779B1 + low
        bits = (bits ^ (bits >> 16)) * 0x85EBCA6B
        bits = ((bits ^ (bits >> 13)) ^ high) * 0xC2B2AE35
        bits = bits ^ (bits >> 16)
        uniform = ((bits >> 9).to(tl.float32) + 0.5) * 1.1920928955078125e-07
        race = score - tl.log(-tl.log(uniform))
        race = tl.where(_rank(score) >= floor, race, float("-inf"))
        fastest, where = tl.max(race, 0, return_indices=True)
        if fastest > best:
            best = fastest
            winner = (start + where).to(tl.int32)
    return winner


@triton.jit
def _copied(
    story, token, length, filter_bits, bit_count, NGRAM: tl.constexpr, HASHES: tl.constexpr
):
    """Whether the token completes an n-gram of the filter: see `memfree`."""
    state = tl.full((), 0, tl.uint64)
    for offset in range(NGRAM):
        place = tl.minimum(length - (NGRAM - 1) + offset, length - 1)
        read = tl.load(story + place)
        now = tl.where(offset == NGRAM - 1, token, read)
        state = (state ^ now.to(tl.uint64)) * 0x9E3779B97F4A7C15
        state = state ^ (state >> 32)
    state = _mixed(state)
    first = state & 0xFFFFFFFF
    step = (state >> 32) | 1
    held = tl.full((), 1, tl.int32)
    for turn in range(HASHES):
        spread = (first + turn * step) & 0xFFFFFFFF
        place = (spread * bit_count.to(tl.uint64)) >> 32
        byte = tl.load(filter_bits + (place >> 3).to(tl.int64)).to(tl.int32)
        held = held & (byte >> (place & 7).to(tl.int32))
    return (held & 1) != 0


@triton.jit
def draw_tokens(
    scores,
    positions,
    given,
    drawn,
    history,
    rules,
    classes,
    filter_bits,
    bit_count,
    context,
    vocabulary,
    RULE_WORDS: tl.constexpr,
    TEMPERATURE: tl.constexpr,
    TOP_K: tl.constexpr,
    TOP_P: tl.constexpr,
    MIN_P: tl.constexpr,
    MEMFREE: tl.constexpr,
    SEED: tl.constexpr,
    NGRAM: tl.constexpr,
    HASHES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The next token of each row, and its position moved on by one."""
    row = tl.program_id(0).to(tl.int64)
    position = tl.load(positions + row)
    if position >= 0:
        length = position + 1
        rule = rules + row * RULE_WORDS
        temperature = tl.load(rule + TEMPERATURE).to(tl.float32, bitcast=True)
        top_k = tl.load(rule + TOP_K)
        top_p = tl.load(rule + TOP_P).to(tl.float32, bitcast=True)
        min_p = tl.load(rule + MIN_P).to(tl.float32, bitcast=True)
        seed_low = tl.load(rule + SEED).to(tl.uint32, bitcast=True).to(tl.uint64)
        seed_high = tl.load(rule + SEED + 1).to(tl.uint32, bitcast=True).to(tl.uint64)
        seed = (seed_high << 32) | seed_low
        score = scores + row * vocabulary
        story = history + row * context
        winner = tl.full((), 0, tl.int32)
        searching = tl.full((), 1, tl.int32)
        while searching != 0:
            best, likeliest = _best(score, vocabulary, BLOCK)
            searching = tl.full((), 0, tl.int32)
            if best > float("-inf"):  # or nothing is left: the token struck out last it is
                winner = likeliest
                if temperature > 0.0:
                    floor = _rank(tl.full((), -3.4028234663852886e38, tl.float32))
                    if (top_k > 0) & (top_k < vocabulary):
                        floor = _floor(
                            score, vocabulary, best, floor, top_k.to(tl.float32), False, BLOCK
                        )
                    if top_p < 1.0:
                        whole = _amount(score, vocabulary, floor, best, True, BLOCK)
                        floor = _floor(score, vocabulary, best, floor, top_p * whole, True, BLOCK)
                    if min_p > 0.0:
                        floor = tl.maximum(floor, _rank(best + tl.log(min_p)))
                    winner = _race(score, vocabulary, floor, seed, length, BLOCK)
                if NGRAM > 0:
                    looked_at = (tl.load(rule + MEMFREE) == 1) & (length >= NGRAM - 1)
                    kind = tl.load(classes + winner)
                    if looked_at & ((kind & (END | CONTINUATION)) == 0):
                        if _copied(story, winner, length, filter_bits, bit_count, NGRAM, HASHES):
                            tl.debug_barrier()  # all have read before one writes
                            tl.store(score + winner, float("-inf"))
                            tl.debug_barrier()
                            searching = tl.full((), 1, tl.int32)
        tl.store(drawn + row, winner)
        tl.store(positions + row, position + 1)
        tl.store(given + row, -1)
