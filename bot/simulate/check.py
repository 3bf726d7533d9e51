"""Whether the simulation is right at the small end: beside a real bot with a real generator.

How long a story takes that is told alone is measured first. Then stories are asked for at several
rates, of the bot and of the simulation at the same moments. Before and after these comes a rush,
which says how fast eight stories are told together: a machine that others use as well is not as
fast as it was a minute ago.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.bench.arriving import Arrival, figures_of, moments, tell
from bot.bench.running import BenchError
from bot.simulate.assumptions import LEAD, MEAN_TOKENS, Fleet, Replica
from bot.simulate.by_story import simulate

if TYPE_CHECKING:
    from collections.abc import Sequence

ALONE, APART = 10, 2.0
"""Stories that are told alone, and seconds between two of them."""
RUSH, A_SECOND = 40, 16.0
"""Stories that are told eight at a time, since more are asked for than can be told."""
REST = 14.0
"""Seconds between what is asked for and a rush: what the line needs to come to its end."""
LOADS = {"a quarter": 0.25, "three quarters": 0.75, "one and a half": 1.5}
"""What is asked for, of what the machine bears."""
WITHIN = 0.2
STEADY, TRIES = 0.15, 5
"""What the machine's speed may change while something is measured, or it is measured again."""
WAITED_FOR = 1.0
"""Seconds from which a wait for first words is one in the queue, and has to agree."""
HELD = ("stories_per_minute", "first_words_p50")
"""What has to agree; the others are shown beside."""
SHOWN = (*HELD, "told_p50", "edits_per_story")


async def check(seconds: float) -> dict[str, object]:
    """Measure, simulate, print both side by side, and give the figures.

    Args:
        seconds: For how long stories are asked for at each rate.

    Raises:
        BenchError: The bot did not start or does not bear it, or the machine was not the same
            from one run to the next.
        TimeoutError: It told nothing for a long time.
    """
    alone, (_, speed) = await _between_rushes([number * APART for number in range(ALONE)])
    fleet = _calibrated(alone)
    figures: dict[str, object] = {"taken": round(fleet.taken, 3)}
    figures["tokens_a_second_alone"] = round(fleet.replica.tokens_a_second(1))
    apart = 0.0
    for name, part in LOADS.items():
        real, speeds = await _steadily(part, seconds, speed)
        speed = speeds[1]
        of_both = figures_of(real), figures_of(imitated(_fast(fleet, sum(speeds) / 2), real))
        print(
            f"\n{f'{name} of what it bears':28}{'real':>10}{'simulated':>12}{'ratio':>8}"
            f"   ({len(real)} stories; {speeds[0]:.0f} to {speeds[1]:.0f} tokens a second)"
        )
        for figure in SHOWN:
            found, simulated = (one[figure] for one in of_both)
            # Without a queue a wait is some hundredths of a second, and the processor's.
            if figure == HELD[0] or (figure == HELD[1] and found > WAITED_FOR):
                apart = max(apart, abs(simulated / found - 1))
            print(f"  {figure:26}{found:10.2f}{simulated:12.2f}{simulated / found:8.2f}")
            figures[f"{name} {figure}".replace(" ", "_")] = [found, simulated]
        figures[f"{name} tokens_a_second".replace(" ", "_")] = [round(one) for one in speeds]
    print(f"\nat most {apart:.0%} apart")
    return {**figures, "apart": round(apart, 3), "agrees": apart <= WITHIN}


async def _steadily(
    part: float, seconds: float, speed: float
) -> tuple[list[Arrival], tuple[float, float]]:
    """Have a bot tell so much of what it bears, while the machine stays as it is.

    Gives the stories, and tokens a second before and after.

    Raises:
        BenchError: The machine was another each time.
    """
    for _ in range(TRIES):
        asked = moments(part * 60 * speed / MEAN_TOKENS, seconds, seed=round(100 * part))
        real, (before, speed) = await _between_rushes(asked)
        if abs(speed / before - 1) < STEADY:
            return real, (before, speed)
        show = f"{before:.0f} tokens a second before it and {speed:.0f} after"
        print(f"{show}: something else uses this machine; once more", flush=True)
    raise BenchError("Something else uses this machine: it was never the same for long enough.")


async def _between_rushes(
    asked: Sequence[float],
) -> tuple[list[Arrival], tuple[float, float]]:
    """Have one bot tell a rush, what is asked for, and a second rush.

    Gives what was asked for, and tokens a second of the rushes.
    """
    rush = [number / A_SECOND for number in range(RUSH)]
    begin = rush[-1] + REST
    end = begin + asked[-1] + REST
    moments_ = [*rush, *(begin + at for at in asked), *(end + at for at in rush)]
    stories, _ = await tell(moments_)
    before, during, after = (
        [story for story in stories if low <= story.asked + REST / 2 < high]
        for low, high in ((0, begin), (begin, end), (end, math.inf))
    )
    return during, (_speed(before), _speed(after))


def _calibrated(alone: Sequence[Arrival]) -> Fleet:
    """Learn what a story takes that is told alone: something at once, and for each token."""
    each_token = statistics.linear_regression(
        [story.tokens for story in alone], [story.ended_after for story in alone]
    ).slope
    each_token = max(each_token, 1e-4)
    waits = [story.words_at - story.asked for story in alone if story.words_at is not None]
    taken = statistics.median(waits) - Fleet.edit - LEAD * each_token
    return Fleet(Replica("this machine", {1: each_token}), taken=max(0.0, taken), waiting=10_000)


def _speed(rush: Sequence[Arrival]) -> float:
    """Tokens a second while all tellers were busy: from the second tenth to the ninth."""
    ends = sorted((story.asked + story.ended_after, story.tokens) for story in rush)
    some = ends[len(ends) // 5 : len(ends) * 9 // 10]
    return sum(tokens for _, tokens in some[1:]) / (some[-1][0] - some[0][0])


def _fast(fleet: Fleet, speed: float) -> Fleet:
    """The fleet whose generator is as fast as measured for eight stories together."""
    steps = {**fleet.replica.steps, 8: max(8 / speed, fleet.replica.steps[1])}
    return replace(fleet, replica=Replica(fleet.replica.name, steps))


def imitated(fleet: Fleet, real: Sequence[Arrival]) -> list[Arrival]:
    """Tell the same stories by simulation: asked for at the same moments, and as long."""
    simulated = simulate(fleet, [(story.asked, story.tokens) for story in real])
    return [
        Arrival(one.asked, one.words_at, one.over_at, edits=one.edits, tokens=one.tokens)
        for one in simulated.stories
    ]
