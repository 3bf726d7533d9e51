"""`python -m bot simulate`: what holds in a simulated village, whatever its size and seed."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from bot.__main__ import main
from bot.bench import arriving
from bot.bench.figures import percentile
from bot.messages.pacing import PER_SECOND
from bot.simulate import by_second, by_story, check
from bot.simulate.assumptions import (
    DAY,
    GPU,
    HOUR,
    SMALL_MACHINE,
    TWO_CORES,
    VIRAL_DAY,
    VIRAL_HOUR,
    WEEK,
    Fleet,
    Replica,
    Village,
)
from bot.simulate.bounds import given_up
from bot.simulate.outcome import Waits
from bot.simulate.picture import picture
from bot.simulate.week import fleets

if TYPE_CHECKING:
    from pathlib import Path

    from bot.simulate.outcome import Outcome
    from tests.bot.teller import Teller

FAST = Fleet(GPU, tellers=32)
SMALL = Fleet(TWO_CORES)
VIRAL = VIRAL_DAY * DAY + VIRAL_HOUR * HOUR


def asked(a_second: float, seconds: float, seed: int = 1) -> list[tuple[float, int]]:
    """Stories, asked for independently of each other."""
    draw = random.Random(seed)
    return [
        (at, by_story.length(draw)) for at in arriving.moments(60 * a_second, seconds, seed=seed)
    ]


@pytest.mark.parametrize("a_second", [0.2, 5, 60])
@pytest.mark.parametrize("seed", [1, 2])
def test_no_story_is_lost_and_no_second_has_more_edits_than_it_may(
    a_second: float, seed: int
) -> None:
    stories = asked(a_second, 20, seed)
    outcome = by_story.simulate(FAST, stories)
    assert outcome.told + outcome.refused == outcome.asked == len(stories)
    assert outcome.words.count == outcome.told
    assert outcome.busiest <= PER_SECOND
    assert all(one.asked < one.words_at <= one.over_at for one in outcome.stories)


@pytest.mark.parametrize("servers", [1, 1_000, 1_000_000])
def test_nor_are_they_where_stories_are_counted_by_the_second(servers: int) -> None:
    fleet = replace(FAST, replicas=3, bots=2)
    outcome = by_second.simulate(fleet, Village(servers), VIRAL - 60, VIRAL + 60, seed=1)
    assert outcome.told + outcome.refused == pytest.approx(outcome.asked)
    assert outcome.words.count == pytest.approx(outcome.told)
    assert outcome.busiest <= 2 * PER_SECOND + 1e-6


def test_a_full_queue_refuses_and_only_then() -> None:
    stories = asked(60, 20)
    few = by_story.simulate(replace(SMALL, waiting=50), stories)
    many = by_story.simulate(replace(SMALL, waiting=10_000), stories)
    assert few.refused > 0 == many.refused
    assert few.queue.longest < many.queue.longest


def test_the_same_seed_is_the_same_week() -> None:
    def told(seed: int) -> list[float]:
        draw = random.Random(seed)
        times = by_story.moments(Village(2), DAY, draw)
        outcome = by_story.simulate(SMALL, ((at, by_story.length(draw)) for at in times))
        return [one.over_at for one in outcome.stories]

    assert told(1) == told(1) != told(2)


def test_more_generators_or_more_bots_never_make_anyone_wait_longer() -> None:
    stories = asked(50, 15)
    slow = Fleet(TWO_CORES, waiting=10_000)
    outcomes = [
        by_story.simulate(replace(slow, replicas=n, tellers=8 * n, bots=8), stories)
        for n in (1, 2, 4)
    ]
    waits = [[one.words_at for one in outcome.stories] for outcome in outcomes]
    for more, fewer in zip(waits[1:], waits, strict=False):
        assert percentile(more, 50) < percentile(fewer, 50)
        assert max(more) <= max(fewer)
    ends = [by_story.simulate(replace(FAST, bots=bots), stories).late.longest for bots in (1, 2, 4)]
    assert ends == sorted(ends, reverse=True)


def test_live_text_becomes_coarser_before_anything_comes_late() -> None:
    """In the order, and from the rates on, that the tables say."""
    (_, _), (_, coarser), (_, ends_only), (_, at_once), (_, late) = given_up()
    smooth, pieces, few, whole, behind = (
        by_story.simulate(FAST, asked(rate, 40))
        for rate in (
            0.6 * coarser,
            (coarser + ends_only) / 2,
            ends_only,
            (at_once + late) / 2,
            1.4 * late,
        )
    )
    pauses = [one.pauses.percentile(50) for one in (smooth, pieces, few)]
    assert pauses[0] == pytest.approx(FAST.spacing + FAST.edit, rel=0.05)
    assert pauses == sorted(pauses)
    assert pauses[2] > 2 * pauses[0]
    assert smooth.whole == pieces.whole == few.whole == 0
    assert few.late.percentile(99) < 1
    assert whole.whole > 0
    assert whole.late.percentile(50) < 1
    assert behind.late.percentile(50) > 1
    for outcome in (smooth, pieces, few, whole, behind):
        assert outcome.told == outcome.asked


@pytest.mark.parametrize("servers", [1_000, 4_000, 8_000])
def test_counting_by_the_second_comes_to_what_story_by_story_does(servers: int) -> None:
    village, draw = Village(servers), random.Random(1)
    minutes = VIRAL, VIRAL + 120
    times = [
        at + VIRAL
        for at in arriving.moments(60 * village.viral_rate, 120, seed=1)
        if draw.random() * village.viral_rate < village.rate(at + VIRAL)
    ]
    one_by_one = by_story.simulate(FAST, [(at, by_story.length(draw)) for at in times])
    counted = by_second.simulate(FAST, village, *minutes, seed=1)

    def figures(outcome: Outcome) -> list[float]:
        return [
            outcome.told,
            outcome.edits / outcome.told,
            outcome.words.percentile(50),
            outcome.whole / outcome.told,
        ]

    assert figures(counted) == pytest.approx(figures(one_by_one), rel=0.3, abs=0.02)
    if not counted.whole:
        ours, theirs = (one.pauses.percentile(50) for one in (counted, one_by_one))
        assert ours == pytest.approx(theirs, rel=0.2)


def test_a_week_has_as_many_stories_as_its_days_and_its_viral_hour() -> None:
    usual = Village(100, viral=1)
    of_a_week = sum(60 * usual.rate(at) for at in range(0, int(WEEK), 60))
    assert of_a_week == pytest.approx(100 * 10 * 7, rel=0.01)
    viral = Village(100)
    assert viral.rate(VIRAL) == 10 * usual.rate(VIRAL)
    assert viral.rate(VIRAL - 1) == usual.rate(VIRAL - 1) <= usual.evening_rate


def test_a_percentile_of_classes_is_nearly_that_of_the_waits() -> None:
    draw = random.Random(1)
    seconds = [draw.expovariate(0.1) for _ in range(2_000)]
    waits = Waits()
    for one in seconds:
        waits.add(one)
    for percent in (50, 95, 99):
        assert waits.percentile(percent) == pytest.approx(percentile(seconds, percent), rel=0.03)
    assert waits.longest == max(seconds)


def test_eight_stories_share_a_generator_as_it_was_measured() -> None:
    """Told together they take what eight take together: 8 x 100 tokens at its speed."""
    generator = Replica.of_speeds("any", {1: 100, 8: 400})
    fleet = Fleet(generator, words_per_second=1e9)
    together = by_story.simulate(fleet, [(0.0, 100)] * 8)
    alone = by_story.simulate(fleet, [(0.0, 100)])
    assert together.busy == pytest.approx(2.0)
    assert alone.busy == pytest.approx(1.0)
    assert generator.step(4.5) == pytest.approx((0.01 + 0.02) / 2)


def test_the_command_says_it_in_tables_a_picture_and_a_last_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "week.png"
    assert main(["simulate", "--servers", "1", "30", "--picture", str(file)]) == 0
    out = capsys.readouterr().out
    weeks = json.loads(out.splitlines()[-1])["weeks"]
    assert [week["servers"] for week in weeks] == [1, 30]
    assert all(week["asked"] == week["told"] + week["refused"] > 0 for week in weeks)
    assert "first words, p99" in out
    with Image.open(file) as picture:
        picture.verify()


def test_without_simpy_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "simpy", None)  # as Python itself marks what is not there
    assert main(["simulate"]) == 1
    assert "'.[bot,scale]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given",
    [
        ["--servers", "0"],
        ["--servers", "many"],
        ["--stories", "-1"],
        ["--viral", "nan"],
        ["--picture", "/nowhere/week.png"],
        ["--picture", "/"],
    ],
)
def test_what_is_no_number_of_anything_is_said(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["simulate", *given])
    assert ended.value.code == 2
    assert given[1] in capsys.readouterr().err


@pytest.mark.parametrize(
    "given", [["--check", "--servers", "5"], ["--check", "--picture", "x.png"], ["--seconds", "3"]]
)
def test_nothing_that_was_asked_for_is_passed_over(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert given[-2] in line


def test_one_bot_is_not_tried_where_it_would_be_months_late() -> None:
    assert fleets(Village(100_000))[0].bots == 1
    assert min(fleet.bots for fleet in fleets(Village(10_000_000))) > 100


def test_every_week_is_in_the_picture() -> None:
    outcome = by_story.simulate(Fleet(SMALL_MACHINE), [(1.0, 40)])
    with Image.open(BytesIO(picture({str(number): outcome for number in range(9)}))) as drawn:
        low, high = drawn.height * 8 // 9, drawn.height
        last = drawn.crop((0, low, drawn.width, high)).convert("L").getextrema()
    assert last[0] != last[1]


async def test_a_real_bot_is_asked_at_the_moments_and_imitated(
    tells: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KATARIBE_GENERATOR__URL", tells.url)
    real, _ = await arriving.tell([0.0, 0.1, 0.2])
    assert len(real) == len(tells.asked) - 1 == 3  # one is told before
    assert all(one.words == 5 and one.ended_after > 0 for one in real)
    simulated = check.imitated(SMALL, [replace(one, tokens=40) for one in real])
    assert [one.asked for one in simulated] == pytest.approx([one.asked for one in real])
    assert all(one.over_at is not None and one.edits for one in [*real, *simulated])
    assert arriving.figures_of(simulated)["stories"] == 3
