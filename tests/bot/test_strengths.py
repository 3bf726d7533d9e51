"""How strong models are: our sums against another's, and what they must not be fooled by."""

from __future__ import annotations

import itertools
import math
import random
from typing import TYPE_CHECKING

import evalica
import numpy as np
import pytest

from bot.charts.strengths import MOST, fit, strengths, weights
from bot.database.figures import Ballot

if TYPE_CHECKING:
    from collections.abc import Sequence

MODELS = ("gpt2", "lstm", "llama", "markov")
TRUE = {"gpt2": 0.9, "lstm": -0.4, "llama": 0.5, "markov": -1.0}
TIES = 0.7


def election(duels: int, each: int = 1, *, ties: float = TIES, seed: int = 3) -> list[Ballot]:
    """Votes as models of known strength win them, by as many members as there are votes."""
    dice, members = random.Random(seed), itertools.count(1)
    ballots = []
    for duel in range(duels):
        a, b = dice.sample(MODELS, 2)
        apart = TRUE[a] - TRUE[b]
        chances = (math.exp(apart / 2), math.exp(-apart / 2), ties)
        choices = dice.choices(("a", "b", "tie"), chances, k=each)
        ballots += [Ballot(duel, a, b, next(members), choice) for choice in choices]
    return ballots


def fitted(ballots: Sequence[Ballot], ridge: float) -> tuple[dict[str, float], float]:
    """Strengths about their mean, and the readiness for ties."""
    names = sorted({name for ballot in ballots for name in (ballot.model_a, ballot.model_b)})
    design = np.zeros((len(ballots), len(names)))
    counted = np.zeros((1, len(ballots), 3))
    for row, ballot in enumerate(ballots):
        design[row, names.index(ballot.model_a)] = 1
        design[row, names.index(ballot.model_b)] = -1
        counted[0, row, ("a", "b", "tie").index(ballot.choice)] = 1
    found, _ = fit(design, counted, ridge)
    return dict(zip(names, found[0, :-1] - found[0, :-1].mean(), strict=True)), found[0, -1]


def theirs(ballots: Sequence[Ballot]) -> evalica.NewmanResult:
    winner = {"a": evalica.Winner.X, "b": evalica.Winner.Y, "tie": evalica.Winner.Draw}
    return evalica.newman(
        [ballot.model_a for ballot in ballots],
        [ballot.model_b for ballot in ballots],
        [winner[ballot.choice] for ballot in ballots],
        tolerance=1e-12,
        limit=10_000,
    )


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_what_evalica_finds(seed: int) -> None:
    ballots = election(300, 2, seed=seed)
    result = theirs(ballots)
    logs = np.log(result.scores)
    ours, readiness = fitted(ballots, ridge=1e-9)
    for model in MODELS:
        assert ours[model] == pytest.approx(logs[model] - logs.mean(), abs=1e-4)
    assert math.exp(readiness) / 2 == pytest.approx(result.v, abs=1e-4)


def test_without_ties_it_is_the_plain_model_of_bradley_and_terry() -> None:
    ballots = election(400, ties=0)
    winners = [evalica.Winner.X if one.choice == "a" else evalica.Winner.Y for one in ballots]
    names = ([one.model_a for one in ballots], [one.model_b for one in ballots])
    scores = np.log(evalica.bradley_terry(*names, winners, tolerance=1e-12, limit=10_000).scores)
    ours, _ = fitted(ballots, ridge=1e-6)
    for model in MODELS:
        assert ours[model] == pytest.approx(scores[model] - scores.mean(), abs=1e-3)


def test_known_strengths_are_found_within_their_intervals_and_in_their_order() -> None:
    standing = strengths(election(600, 3))
    assert [one.model for one in standing] == ["gpt2", "llama", "lstm", "markov"]
    for one in standing:
        true = 1000 + 400 / math.log(10) * TRUE[one.model]
        assert one.low < true < one.high
        assert one.low < one.points < one.high
    assert [one.noise for one in standing] == [False] * 4
    assert sum(one.votes for one in standing) == 2 * 1800


def test_models_that_are_alike_are_within_the_noise() -> None:
    ballots = [
        Ballot(number, "gpt2", "lstm", number, ("a", "b", "tie")[number % 3])
        for number in range(60)
    ]
    _, second = strengths(ballots)
    assert second.noise


def test_few_votes_prove_nothing_though_all_agree() -> None:
    # Drawn anew, one duel is always the same: the interval must not shrink to nothing.
    first, second = strengths([Ballot(1, "gpt2", "lstm", member, "a") for member in range(3)])
    assert (first.model, second.noise) == ("gpt2", True)
    first, second = strengths([Ballot(n, "gpt2", "lstm", n, "a") for n in range(60)])
    assert not second.noise
    assert first.points < 3000, "an unbeaten model is not infinitely strong"


def test_it_does_not_matter_which_stood_left() -> None:
    ballots = election(200)
    swap = {"a": "b", "b": "a", "tie": "tie"}
    mirrored = [
        Ballot(one.duel_id, one.model_b, one.model_a, one.member_id, swap[one.choice])
        for one in ballots
    ]
    for one, other in zip(strengths(ballots), strengths(mirrored), strict=True):
        assert one.model == other.model
        assert one.points == pytest.approx(other.points)


def test_a_member_who_votes_all_day_weighs_no_more_than_twenty_votes() -> None:
    honest = [Ballot(number, "gpt2", "lstm", number, "a") for number in range(60)]
    busy = [Ballot(1000 + number, "gpt2", "lstm", -1, "b") for number in range(500)]
    assert sum(weights(busy)) == pytest.approx(MOST)
    assert weights(honest) == [1.0] * 60
    assert [one.model for one in strengths(honest + busy)] == ["gpt2", "lstm"]


def test_nobody_voted() -> None:
    assert strengths([]) == []
