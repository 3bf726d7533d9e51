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
def keep(mixed, keys, values, slots, positions, context, HEADS: tl.constexpr, SIZE: tl.constexpr,
         BLOCK: tl.constexpr):  # fmt: skip
    """Puts each row's key and value into its slot.

    Args:
        mixed: (rows, 3, heads, size): queries, keys, values.
        keys: (slots, heads, context, size), as values.
        slots: (rows,).
        positions: (rows,).
    """
    row = tl.program_id(0).to(tl.int64)
    slot = tl.load(slots + row).to(tl.int64)
    position = tl.load(positions + row)
    at = tl.arange(0, BLOCK)
    within = at < HEADS * SIZE
    place = ((slot * HEADS + at // SIZE) * context + position) * SIZE + at % SIZE
    source = mixed + row * (3 * HEADS * SIZE) + at
    tl.store(keys + place, tl.load(source + HEADS * SIZE, mask=within), mask=within)
    tl.store(values + place, tl.load(source + 2 * HEADS * SIZE, mask=within), mask=within)


@triton.jit
def attend(mixed, keys, values, slots, positions, attended, context, scale, HEADS: tl.constexpr,
           SIZE: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """What each row's query finds in its slot, up to its own position; one program a head."""
    row = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    slot = tl.load(slots + row).to(tl.int64)
    last = tl.load(positions + row)
    wide = tl.arange(0, WIDE)
    query = tl.load(mixed + (row * 3 * HEADS + head) * SIZE + wide, mask=wide < SIZE, other=0.0)
    query = query.to(tl.float32) * scale
    story = (slot * HEADS + head) * context * SIZE
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
    """Adds a layer's outcome and its bias to the hidden rows; and their layer norm."""
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    within = at < WIDTH
    place = row * WIDTH + at
    now = tl.load(hidden + place, mask=within, other=0.0).to(tl.float32)
    now += tl.load(change + place, mask=within, other=0.0).to(tl.float32)
    now += tl.load(change_bias + at, mask=within, other=0.0).to(tl.float32)
    now = now.to(hidden.dtype.element_ty)
    tl.store(hidden + place, now, mask=within)
    now = now.to(tl.float32)
    away = tl.where(within, now - tl.sum(now, 0) / WIDTH, 0.0)
    spread = tl.sum(away * away, 0) / WIDTH
    scale = tl.load(weight + at, mask=within, other=0.0).to(tl.float32)
    shift = tl.load(bias + at, mask=within, other=0.0).to(tl.float32)
    outcome = away / tl.sqrt(spread + epsilon) * scale + shift
    tl.store(normed + place, outcome.to(normed.dtype.element_ty), mask=within)


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
def _tanh(number):
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
