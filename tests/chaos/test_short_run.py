"""A short run among a few faults, for every day; `make chaos` has all of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.bot.teller import teller
from tests.chaos.report import check, details
from tests.chaos.run import Plan, run

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("bot-killed", "gateway-closed", "rest-502", "rest-reset-after", "generator-cut")


async def test_every_promise_is_kept_among_a_few_faults(tmp_path: Path) -> None:
    # Deadlines are generous: the machine may be busy with other tests.
    plan = partial(
        Plan,
        seed=38,
        seconds=6,
        kinds=KINDS,
        servers=3,
        members=30,
        rate=8,
        every=1,
        deadline=30,
        warm_up=1,
        drained_within=100,
    )
    async with teller() as tells:
        tells.pieces = [f" and then {number} foxes came" for number in range(12)]
        outcome = await run(plan(generator=tells.url), tmp_path)
    seen, kept, found = check(outcome)
    assert not found, details(found)
    assert outcome.faults >= 5
    assert len(kept.stories) > 3
    assert any(asked.acknowledged for asked in seen.asked.values())
