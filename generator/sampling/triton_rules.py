"""What a rule forbids on a GPU: tokens that would complete a run, struck out before one is drawn.

Rows of logits are `pitch` numbers apart; one that tells no story has position -1 and is left alone.
"""

# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, N803
# Triton compiles a subset of Python: its functions have no types, and constants are in capitals.

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def forbid_repeats(
    logits,
    positions,
    history,
    rules,
    classes,
    context,
    pitch,
    RULE_WORDS: tl.constexpr,
    NO_REPEAT: tl.constexpr,
    CONTINUES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Strikes out what would complete an n-gram for the second time, but no word told again."""
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
            place = at + size - 1
            token = tl.load(story + place, mask=same, other=0)
            inside = tl.load(classes + token, mask=same, other=0) & CONTINUES
            alike = tl.where(inside != 0, 1, 0)  # so far back as the word has been told
            again = tl.zeros((BLOCK,), tl.int32)
            back = 1
            while tl.max(alike, 0) > 0:
                now = tl.load(story + length - back)
                before = tl.load(story + place - back, mask=(alike > 0) & (place >= back), other=-1)
                alike = tl.where(before == now, alike, 0)
                goes_on = tl.load(classes + now) & CONTINUES
                again += tl.where(goes_on == 0, alike, 0)
                alike = tl.where(goes_on == 0, 0, alike)
                back += 1
            same = same & (again == 0)
            struck = tl.full((BLOCK,), float("-inf"), tl.float32)
            tl.store(logits + row * pitch + token, struck, mask=same)


@triton.jit
def forbid_bad_words(
    logits,
    positions,
    history,
    runs,
    count,
    context,
    pitch,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Strikes out what would complete one of (count, WIDTH) runs; short ones stand behind -1."""
    row = tl.program_id(0).to(tl.int64)
    position = tl.load(positions + row)
    if position >= 0:
        story = history + row * context + position + 1 - (WIDTH - 1)
        at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
        same = at < count
        run = runs + at * WIDTH
        for offset in range(WIDTH - 1):
            wanted = tl.load(run + offset, mask=same, other=-1)
            within = position + 1 - (WIDTH - 1) + offset >= 0
            now = tl.load(story + offset, mask=within, other=-2)
            same = same & ((wanted == -1) | (wanted == now))
        token = tl.load(run + WIDTH - 1, mask=same, other=0)
        struck = tl.full((BLOCK,), float("-inf"), tl.float32)
        tl.store(logits + row * pitch + token, struck, mask=same)
