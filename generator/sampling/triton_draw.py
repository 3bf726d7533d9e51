"""Drawing on a GPU: what `TorchSampler` does, in a few kernels over all slots.

A row that tells no story has position -1 and is left alone. Nothing here depends on another row, so
a draw is the same in any company.

No rule looks for its floor under the scores. The race is run among all tokens, and its winner is
asked whether the rules keep it; if not, neither do they keep any token that is less likely, and the
race is run again among those above it. The winner that is kept is the one that had won among the
kept from the start, and is found in one or two races where a search for the floor reads the scores
thirty times.
"""

# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202, C901, N803, SIM102
# Triton compiles a subset of Python: its functions have no types, and constants are in capitals.

from __future__ import annotations

import triton
import triton.language as tl

SUPPRESSED, END = tl.constexpr(1), tl.constexpr(2)
CONTINUATION, GROWING = tl.constexpr(4), tl.constexpr(8)
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
def _mixed(state):
    """SplitMix64's finaliser."""
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB
    return state ^ (state >> 31)


@triton.jit
def _keys(rule, length, SEED: tl.constexpr):
    """What a draw's noise is hashed with, from the story's seed."""
    low = tl.load(rule + SEED).to(tl.uint32, bitcast=True).to(tl.uint64)
    high = tl.load(rule + SEED + 1).to(tl.uint32, bitcast=True).to(tl.uint64)
    keys = _mixed(((high << 32) | low) + (length.to(tl.uint64) + 1) * 0x9E3779B97F4A7C15)
    return keys.to(tl.uint32), (keys >> 32).to(tl.uint32)


@triton.jit
def _times(score, token, low, high):
    """How far each token gets in the race; noise as in `TorchSampler`."""
    bits = token.to(tl.uint32) * 0x9E3779B1 + low
    bits = (bits ^ (bits >> 16)) * 0x85EBCA6B
    bits = ((bits ^ (bits >> 13)) ^ high) * 0xC2B2AE35
    bits = bits ^ (bits >> 16)
    uniform = ((bits >> 9).to(tl.float32) + 0.5) * 1.1920928955078125e-07
    return score - tl.log(-tl.log(uniform))


@triton.jit
def weigh(
    logits,
    scores,
    peaks,
    leaders,
    positions,
    classes,
    seen,
    told,
    rules,
    vocabulary,
    pitch,
    RULE_WORDS: tl.constexpr,
    TEMPERATURE: tl.constexpr,
    REPETITION: tl.constexpr,
    FREQUENCY: tl.constexpr,
    PRESENCE: tl.constexpr,
    MIN_LENGTH: tl.constexpr,
    NEW_WORD_AT: tl.constexpr,
    SEED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Logits to scores: without suppressed tokens, with penalties, over the temperature.

    Rows of logits are `pitch` numbers apart. Of each block `peaks`, (2, slots, blocks), get the
    highest score and the best in the race, and `leaders` the tokens that have them.
    """
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
        kind = tl.load(classes + at, mask=within, other=1)  # suppressed
        score = tl.load(logits + row * pitch + at, mask=within, other=0.0).to(tl.float32)
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
            score = tl.where((kind & GROWING) != 0, float("-inf"), score)
        if temperature > 0.0:
            score = score / temperature
        tl.store(scores + place, score, mask=within)
        block = row * tl.num_programs(1) + tl.program_id(1)
        peak, where = tl.max(score, 0, return_indices=True)
        tl.store(peaks + block, peak)
        tl.store(leaders + block, (tl.program_id(1) * BLOCK + where).to(tl.int32))
        if temperature > 0.0:
            low, high = _keys(rule, length, SEED)
            peak, where = tl.max(_times(score, at, low, high), 0, return_indices=True)
            block += tl.num_programs(0) * tl.num_programs(1)
            tl.store(peaks + block, peak)
            tl.store(leaders + block, (tl.program_id(1) * BLOCK + where).to(tl.int32))


@triton.jit
def _first(peaks, leaders, blocks, BLOCKS: tl.constexpr):
    """The highest of a row's peaks and its token; the first of equals."""
    at = tl.arange(0, BLOCKS)
    peak = tl.load(peaks + at, mask=at < blocks, other=float("-inf"))
    highest, where = tl.max(peak, 0, return_indices=True)
    return highest, tl.load(leaders + where)


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
def _race(scores, vocabulary, floor, low, high, BLOCK: tl.constexpr):
    """The winner among tokens above the floor, where there is one."""
    fastest = tl.full((BLOCK,), float("-inf"), tl.float32)
    tokens = tl.full((BLOCK,), 0, tl.int32)
    for start in range(0, vocabulary, BLOCK):
        at = start + tl.arange(0, BLOCK)
        score = tl.load(scores + at, mask=at < vocabulary, other=float("-inf"))
        time = tl.where(score > floor, _times(score, at, low, high), float("-inf"))
        tokens = tl.where(time > fastest, at, tokens)
        fastest = tl.maximum(fastest, time)
    _, where = tl.max(fastest, 0, return_indices=True)
    return tl.sum(tl.where(tl.arange(0, BLOCK) == where, tokens, 0), 0)


@triton.jit
def _above(scores, vocabulary, floor, best, BLOCK: tl.constexpr):
    """Tokens above the floor: their number, and the sum of their weights."""
    count = tl.full((BLOCK,), 0, tl.int32)
    mass = tl.full((BLOCK,), 0.0, tl.float32)
    for start in range(0, vocabulary, BLOCK):
        at = start + tl.arange(0, BLOCK)
        score = tl.load(scores + at, mask=at < vocabulary, other=float("-inf"))
        count += (score > floor).to(tl.int32)
        mass += tl.where(score > floor, tl.exp(score - best), 0.0)
    return tl.sum(count, 0), tl.sum(mass, 0)


@triton.jit
def _kept(scores, vocabulary, best, winner, top_k, top_p, min_p, low, high, BLOCK: tl.constexpr):
    """The first in the race that top-k, top-p and min-p keep, from the winner among all tokens."""
    by_rank = (top_k > 0) & (top_k < vocabulary)
    enough = top_k + top_k // 4
    floor = tl.full((), float("-inf"), tl.float32)
    # Top-p counts what top-k leaves, but where that ends need not be known to the digit: the lowest
    # score that top-k keeps is above `under` and at most `over`; `most` and `least` are the
    # weights' sums above these. Further down than `under` no weight is above zero.
    under = best - 104.0
    over = best
    least = tl.full((), 0.0, tl.float32)
    most = least
    left = vocabulary
    if top_p < 1.0:
        _, most = _above(scores, vocabulary, floor, best, BLOCK)
    lowest = floor
    if min_p > 0.0:
        lowest = best + tl.log(min_p)
    searching = tl.full((), 1, tl.int32)
    while searching != 0:
        own = tl.load(scores + winner)
        refused = own < lowest
        if by_rank | (top_p < 1.0):
            count, mass = _above(scores, vocabulary, own, best, BLOCK)
            too_low = by_rank & (count >= top_k)
            if too_low:
                if own > under:
                    under = own
                    most = mass
                    left = count
            elif own < over:
                over = own
                least = mass
            looking = by_rank.to(tl.int32)
            while looking != 0:
                middle = (under + over) / 2
                unclear = (mass >= top_p * least) & (mass < top_p * most) & (top_p < 1.0)
                wanted = (too_low & (left > enough)) | ((too_low == 0) & unclear)
                looking = (wanted & (under < middle) & (middle < over)).to(tl.int32)
                if looking != 0:
                    count, more = _above(scores, vocabulary, middle, best, BLOCK)
                    if count < top_k:
                        over = middle
                        least = more
                    else:
                        under = middle
                        most = more
                        left = count
            floor = tl.where(too_low, tl.maximum(floor, under), floor)
            refused = refused | too_low | ((top_p < 1.0) & (mass >= top_p * most))
        searching = (refused & (own < best)).to(tl.int32)
        if searching != 0:
            floor = tl.maximum(floor, own)
            winner = _race(scores, vocabulary, floor, low, high, BLOCK)
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
    peaks,
    leaders,
    blocks,
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
    BLOCKS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The next token of each row, and its position moved on by one; see `weigh`."""
    row = tl.program_id(0).to(tl.int64)
    position = tl.load(positions + row)
    if position >= 0:
        length = position + 1
        rule = rules + row * RULE_WORDS
        temperature = tl.load(rule + TEMPERATURE).to(tl.float32, bitcast=True)
        top_k = tl.load(rule + TOP_K)
        top_p = tl.load(rule + TOP_P).to(tl.float32, bitcast=True)
        min_p = tl.load(rule + MIN_P).to(tl.float32, bitcast=True)
        low, high = _keys(rule, length, SEED)
        score = scores + row * vocabulary
        story = history + row * context
        first = row * blocks
        best, leader = _first(peaks + first, leaders + first, blocks, BLOCKS)
        if temperature > 0.0:
            first += tl.num_programs(0) * blocks
            _, leader = _first(peaks + first, leaders + first, blocks, BLOCKS)
        winner = tl.full((), 0, tl.int32)
        searching = tl.full((), 1, tl.int32)
        while searching != 0:
            searching = tl.full((), 0, tl.int32)
            if best > float("-inf"):  # or nothing is left: the token struck out last it is
                winner = leader
                if temperature > 0.0:
                    winner = _kept(
                        score, vocabulary, best, leader, top_k, top_p, min_p, low, high, BLOCK
                    )
                if NGRAM > 0:
                    looked_at = (tl.load(rule + MEMFREE) == 1) & (length >= NGRAM - 1)
                    kind = tl.load(classes + winner)
                    if looked_at & ((kind & (END | CONTINUATION)) == 0):
                        if _copied(story, winner, length, filter_bits, bit_count, NGRAM, HASHES):
                            tl.debug_barrier()  # all have read before one writes
                            tl.store(score + winner, float("-inf"))
                            tl.debug_barrier()
                            best, leader = _best(score, vocabulary, BLOCK)
                            if temperature > 0.0:
                                everything = tl.full((), float("-inf"), tl.float32)
                                leader = _race(score, vocabulary, everything, low, high, BLOCK)
                            searching = tl.full((), 1, tl.int32)
        tl.store(drawn + row, winner)
        tl.store(positions + row, position + 1)
        tl.store(given + row, -1)
