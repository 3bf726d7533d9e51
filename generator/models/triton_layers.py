"""A model's small layers on a GPU: attention of single tokens over slots, norms, and LSTM cells.

Each program reads one row's own numbers, in an order that hangs on nothing but its own story.
"""

# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, N803
# Triton compiles a subset of Python: its functions have no types, and constants are in capitals.

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def keep(mixed, keys, values, slots, positions, cosine, sine, context, HEADS: tl.constexpr,
         KEY_HEADS: tl.constexpr, SIZE: tl.constexpr, PAIRS: tl.constexpr,
         BLOCK: tl.constexpr):  # fmt: skip
    """Puts each row's key and value into its slot; turns its queries and key, if there are turns.

    Args:
        mixed: (rows, HEADS + 2 x KEY_HEADS, SIZE): queries, keys, values.
        keys: (slots, KEY_HEADS, context, SIZE), as values.
        slots: (rows,).
        positions: (rows,).
        cosine: (context, SIZE), as sine, or none; both halves are the same.
    """
    row = tl.program_id(0).to(tl.int64)
    slot = tl.load(slots + row).to(tl.int64)
    position = tl.load(positions + row).to(tl.int64)
    read = mixed + row * (HEADS + 2 * KEY_HEADS) * SIZE
    story = slot * KEY_HEADS * context + position  # of the slot's first head
    at = tl.arange(0, BLOCK)
    within = at < KEY_HEADS * SIZE
    place = (story + at // SIZE * context) * SIZE + at % SIZE
    value = tl.load(read + (HEADS + KEY_HEADS) * SIZE + at, mask=within)
    tl.store(values + place, value, mask=within)
    if cosine is None:
        tl.store(keys + place, tl.load(read + HEADS * SIZE + at, mask=within), mask=within)
    else:
        # Who holds one number of a pair holds the other too: none is overwritten unread.
        HALF: tl.constexpr = SIZE // 2
        pair = tl.arange(0, PAIRS)
        head, number = pair // HALF, pair % HALF
        some = pair < (HEADS + KEY_HEADS) * HALF
        source = read + head * SIZE + number
        first = tl.load(source, mask=some, other=0.0).to(tl.float32)
        second = tl.load(source + HALF, mask=some, other=0.0).to(tl.float32)
        across = tl.load(cosine + position * SIZE + number).to(tl.float32)
        along = tl.load(sine + position * SIZE + number).to(tl.float32)
        turned = (first * across - second * along).to(mixed.dtype.element_ty)
        other = (second * across + first * along).to(mixed.dtype.element_ty)
        asks = head < HEADS
        tl.store(source, turned, mask=asks)
        tl.store(source + HALF, other, mask=asks)
        kept = keys + (story + (head - HEADS) * context) * SIZE + number
        tl.store(kept, turned, mask=some & (head >= HEADS))
        tl.store(kept + HALF, other, mask=some & (head >= HEADS))


@triton.jit
def attend(mixed, keys, values, slots, positions, attended, context, scale, HEADS: tl.constexpr,
           KEY_HEADS: tl.constexpr, SIZE: tl.constexpr, WIDE: tl.constexpr,
           BLOCK: tl.constexpr):  # fmt: skip
    """What each row's query finds in its slot, up to its own position; one program a head.

    Those that share a head of keys read it one after the other, from the GPU's cache.
    """
    row = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    slot = tl.load(slots + row).to(tl.int64)
    last = tl.load(positions + row)
    wide = tl.arange(0, WIDE)
    asked = mixed + (row * (HEADS + 2 * KEY_HEADS) + head) * SIZE + wide
    query = tl.load(asked, mask=wide < SIZE, other=0.0).to(tl.float32) * scale
    story = (slot * KEY_HEADS + head // (HEADS // KEY_HEADS)) * context * SIZE
    highest = tl.full((), float("-inf"), tl.float32)
    whole = tl.full((), 0.0, tl.float32)
    found = tl.zeros((WIDE,), tl.float32)
    for start in range(0, last + 1, BLOCK):
        at = start + tl.arange(0, BLOCK)
        place = story + at[:, None] * SIZE + wide[None, :]
        within = (at[:, None] <= last) & (wide[None, :] < SIZE)
        key = tl.load(keys + place, mask=within, other=0.0).to(tl.float32)
        value = tl.load(values + place, mask=within, other=0.0).to(tl.float32)
        score = tl.where(at <= last, tl.sum(key * query[None, :], 1), float("-inf"))
        higher = tl.maximum(highest, tl.max(score, 0))
        weight = tl.exp(score - higher)
        faded = tl.exp(highest - higher)
        whole = whole * faded + tl.sum(weight, 0)
        found = found * faded + tl.sum(weight[:, None] * value, 0)
        highest = higher
    place = attended + (row * HEADS + head) * SIZE + wide
    tl.store(place, (found / whole).to(attended.dtype.element_ty), mask=wide < SIZE)


@triton.jit
def add_and_norm(hidden, change, change_bias, weight, bias, normed, epsilon, WIDTH: tl.constexpr,
                 BLOCK: tl.constexpr):  # fmt: skip
    """Adds a layer's outcome, and its bias if it has one, to the hidden rows; and their norm.

    That is a layer norm, or where it has no bias a norm by the root mean square.
    """
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    within = at < WIDTH
    place = row * WIDTH + at
    now = tl.load(hidden + place, mask=within, other=0.0).to(tl.float32)
    now += tl.load(change + place, mask=within, other=0.0).to(tl.float32)
    if change_bias is not None:
        now += tl.load(change_bias + at, mask=within, other=0.0).to(tl.float32)
    now = now.to(hidden.dtype.element_ty)
    tl.store(hidden + place, now, mask=within)
    now = now.to(tl.float32)
    if bias is not None:
        now = tl.where(within, now - tl.sum(now, 0) / WIDTH, 0.0)
    spread = tl.sum(now * now, 0) / WIDTH
    scale = tl.load(weight + at, mask=within, other=0.0).to(tl.float32)
    outcome = now / tl.sqrt(spread + epsilon) * scale
    if bias is not None:
        outcome += tl.load(bias + at, mask=within, other=0.0).to(tl.float32)
    tl.store(normed + place, outcome.to(normed.dtype.element_ty), mask=within)


@triton.jit
def gate(both, inner, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """(rows, 2 x WIDTH) to (rows, WIDTH): silu of the first half times the second."""
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    within = at < WIDTH
    source = both + row * 2 * WIDTH + at
    opened = tl.load(source, mask=within, other=0.0).to(tl.float32)
    up = tl.load(source + WIDTH, mask=within, other=0.0).to(tl.float32)
    outcome = opened * tl.sigmoid(opened) * up
    tl.store(inner + row * WIDTH + at, outcome.to(inner.dtype.element_ty), mask=within)


@triton.jit
def remember(embedding, tokens, hidden, slots, positions, joined, slot_count, rows,
             INPUT: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Puts an LSTM's states beside its inputs: what each layer's one product reads.

    Args:
        embedding: (vocabulary, INPUT).
        hidden: (layers, slot_count, WIDTH).
        joined: a layer after the other, (rows, inputs and WIDTH); only of the first the inputs are
            known.
    """
    row = tl.program_id(0).to(tl.int64)
    layer = tl.program_id(1)
    slot = tl.load(slots + row).to(tl.int64)
    at = tl.arange(0, BLOCK)
    later = layer > 0
    inputs = tl.where(later, WIDTH, INPUT)
    target = joined + tl.where(later, rows * (INPUT + WIDTH) + (layer - 1) * rows * 2 * WIDTH, 0)
    target += row * (inputs + WIDTH)
    if layer == 0:
        token = tl.load(tokens + row).to(tl.int64)
        read = tl.load(embedding + token * INPUT + at, mask=at < INPUT, other=0.0)
        tl.store(target + at, read, mask=at < INPUT)
    # A story that begins remembers nothing.
    known = (at < WIDTH) & (tl.load(positions + row) > 0)
    state = tl.load(hidden + (layer * slot_count + slot) * WIDTH + at, mask=known, other=0.0)
    tl.store(target + inputs + at, state, mask=at < WIDTH)


@triton.jit
def _tanh(number):  # noqa: ANN202
    return 2.0 * tl.sigmoid(2.0 * number) - 1.0


@triton.jit
def remember_more(gates, hidden, cell, slots, positions, output, pitch, WIDTH: tl.constexpr,
                  BLOCK: tl.constexpr):  # fmt: skip
    """What a layer's gates, (rows, 4 x WIDTH), make of its states; its output, `pitch` apart."""
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    within = at < WIDTH
    slot = tl.load(slots + row).to(tl.int64)
    gate = gates + row * 4 * WIDTH + at
    add = tl.sigmoid(tl.load(gate, mask=within, other=0.0).to(tl.float32))
    forget = tl.sigmoid(tl.load(gate + WIDTH, mask=within, other=0.0).to(tl.float32))
    fresh = _tanh(tl.load(gate + 2 * WIDTH, mask=within, other=0.0).to(tl.float32))
    show = tl.sigmoid(tl.load(gate + 3 * WIDTH, mask=within, other=0.0).to(tl.float32))
    place = slot * WIDTH + at
    known = within & (tl.load(positions + row) > 0)
    now = forget * tl.load(cell + place, mask=known, other=0.0) + add * fresh
    tl.store(cell + place, now, mask=within)
    shown = (show * _tanh(now)).to(output.dtype.element_ty)
    tl.store(hidden + place, shown, mask=within)
    tl.store(output + row * pitch + at, shown, mask=within)
