"""What a run comes to: each broken promise with its history, and one line last."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from tests.chaos.history import read
from tests.chaos.promises import EVERY, Broken, broken
from tests.chaos.seen import Seen, is_wish

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.chaos.run import Outcome, Plan
    from tests.chaos.seen import Kept

SHOWN = 5
"""Of each promise so many of the times that it was broken."""
LONGEST = 2000
"""Characters of an event that are printed."""


def check(outcome: Outcome) -> tuple[Seen, Kept, list[Broken]]:
    """Read what a run left, and look for what was not kept."""
    seen = Seen.of(read(outcome.history))
    return seen, outcome.kept, broken(seen, outcome.kept)


def details(found: Iterable[Broken]) -> str:
    """Each of them with what was seen of it."""
    lines: list[str] = []
    times = Counter[str]()
    for one in found:
        times[one.promise] += 1
        if times[one.promise] > SHOWN:
            continue
        lines.append(f"BROKEN {one.promise}: {one.how}")
        lines += ["    " + json.dumps(event, ensure_ascii=False)[:LONGEST] for event in one.history]
    lines += [f"{promise}: broken {count} times" for promise, count in times.items()]
    return "\n".join(lines)


def summary(plan: Plan, outcome: Outcome, seen: Seen, kept: Kept, found: list[Broken]) -> str:
    """One line."""
    states = Counter(row["state"] for row in kept.stories)
    stories = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    drained = seen.marks.get("drained")
    quiet = f"{drained - seen.marks['quiet']:.0f} s" if drained else "never"
    unanswered = sum(not asked.acknowledged for asked in seen.asked.values())
    wishes = sum(is_wish(asked.event) for asked in seen.asked.values())
    kinds = len({kind for kind, _, _ in seen.faults})
    verdict = (
        "every promise kept"
        if not found
        else "broken: " + ", ".join(name for name in EVERY if any(b.promise == name for b in found))
    )
    return (
        f"chaos seed {plan.seed}, {plan.seconds / 60:.1f} min: {len(seen.asked)} interactions, "
        f"{wishes} of them wishes ({unanswered} unanswered), {len(kept.stories)} stories "
        f"({stories}), {len(kept.ratings) + len(kept.duel_votes)} votes, {outcome.faults} faults "
        f"of {kinds} kinds, {outcome.met} requests met one; drained {quiet} after the last"
        f"{_handed_over(seen)}: "
        f"{verdict}"
    )


def _handed_over(seen: Seen) -> str:
    """How long it took where bots made room for new ones, if any did."""
    took = [event["seconds"] for event in seen.events if event["what"] == "handed-over"]
    return f"; {len(took)} bots handed over, each within {max(took):.1f} s" if took else ""
