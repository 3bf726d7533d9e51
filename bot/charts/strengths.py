"""How strong models are, from votes in blind duels: Bradley and Terry's model, ties by Davidson.

With strengths s and a readiness for ties v, of two models a wins by exp(s_a), b by exp(s_b), and
neither by v·sqrt(exp(s_a + s_b)), each over the sum of the three.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.database.figures import Ballot

RIDGE = 0.3
"""Pulls strengths to their middle: an unbeaten model would else be infinitely strong."""
MOST = 20.0
"""What all the votes of one member weigh together at most."""
RESAMPLED = 200
"""Times that the duels are drawn anew, to see how much hangs on which there were."""
CENTRE, POINTS = 1000.0, 400.0 / math.log(10)
"""Chess's scale: of two models that are 400 apart the better one wins ten times as often."""
SURE = 1.96
"""Standard deviations on either side that hold 95 % of chances."""

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Strength:
    """Where a model stands."""

    model: str
    points: float
    low: float
    high: float
    """With 95 % of chances it is between these."""
    votes: int
    noise: bool
    """How far it is from the one before it may be chance."""


def weights(ballots: Sequence[Ballot]) -> list[float]:
    """What each vote weighs: those of a member who votes very often less."""
    cast = Counter(ballot.member_id for ballot in ballots)
    return [min(1.0, MOST / cast[ballot.member_id]) for ballot in ballots]


def strengths(ballots: Sequence[Ballot]) -> list[Strength]:
    """Give every model that was voted on, the strongest first."""
    models = sorted({name for ballot in ballots for name in (ballot.model_a, ballot.model_b)})
    if not ballots:
        return []
    pairs, counted = _counted(ballots, models)
    design = np.zeros((len(pairs), len(models)))
    for row, (a, b) in enumerate(pairs):
        design[row, a], design[row, b] = 1.0, -1.0
    found, spread = fit(design, counted.sum(axis=0)[None])
    best = found[0, :-1]
    dice = np.random.default_rng(7)
    drawn = dice.multinomial(len(counted), np.full(len(counted), 1 / len(counted)), RESAMPLED)
    again, _ = fit(design, np.einsum("rd,dpo->rpo", drawn, counted))

    def between(of: Array) -> tuple[float, float]:
        """The interval of a sum of strengths: by the duels drawn anew, and by how few they are."""
        middle, deviation = float(of @ best), math.sqrt(float(of @ spread[0, :-1, :-1] @ of))
        low, high = np.percentile(again[:, :-1] @ of, (2.5, 97.5))
        return min(low, middle - SURE * deviation), max(high, middle + SURE * deviation)

    each, centre = np.eye(len(models)), np.full(len(models), 1 / len(models))
    votes = Counter(name for ballot in ballots for name in (ballot.model_a, ballot.model_b))
    standing: list[Strength] = []
    order = sorted(range(len(models)), key=lambda one: -best[one])
    for place, one in enumerate(order):
        low, high = between(each[one] - centre)
        noise = place > 0 and between(each[order[place - 1]] - each[one])[0] <= 0
        points, low, high = (CENTRE + POINTS * s for s in (best[one] - best.mean(), low, high))
        standing.append(Strength(models[one], points, low, high, votes[models[one]], noise))
    return standing


def _counted(ballots: Sequence[Ballot], models: list[str]) -> tuple[list[tuple[int, int]], Array]:
    """Give the pairs, and the weight of votes by duel, pair and outcome: first, second, neither."""
    number = {model: place for place, model in enumerate(models)}
    duels = {duel: place for place, duel in enumerate({ballot.duel_id: None for ballot in ballots})}
    sides = [(number[ballot.model_a], number[ballot.model_b]) for ballot in ballots]
    pairs = sorted({(min(pair), max(pair)) for pair in sides})
    place = {pair: row for row, pair in enumerate(pairs)}
    counted = np.zeros((len(duels), len(pairs), 3))
    for ballot, (a, b), weight in zip(ballots, sides, weights(ballots), strict=True):
        outcome = 2 if ballot.choice == "tie" else int((ballot.choice == "a") == (a > b))
        counted[duels[ballot.duel_id], place[min(a, b), max(a, b)], outcome] += weight
    return pairs, counted


def fit(design: Array, counted: Array, ridge: float = RIDGE) -> tuple[Array, Array]:
    """Find the likeliest strengths, and log v behind them, by Newton's method.

    Args:
        design: (pairs, models), 1 for a pair's first model and -1 for its second.
        counted: (samples, pairs, 3), votes for the first, the second and neither.
        ridge: How strongly all are pulled to zero.

    Returns:
        (samples, models + 1), and the covariance (samples, models + 1, models + 1).
    """
    first, second, neither = np.moveaxis(counted, -1, 0)
    votes = counted.sum(axis=-1)
    models = design.shape[1]
    at = np.zeros((len(counted), models + 1))
    eye = ridge * np.eye(models + 1)
    for _ in range(100):
        apart, tie = at[:, :-1] @ design.T, np.exp(at[:, -1:])
        win, lose = np.exp(apart / 2), np.exp(-apart / 2)
        whole = win + lose + tie
        lead, tied = (win - lose) / whole, tie / whole
        slope = np.concatenate(
            (
                ((first - second - votes * lead) / 2) @ design,
                (neither - votes * tied).sum(axis=1, keepdims=True),
            ),
            axis=1,
        )
        curve = np.empty((len(counted), models + 1, models + 1))
        bend = votes * ((win + lose) / whole - lead**2) / 4
        curve[:, :-1, :-1] = np.einsum("rp,pi,pj->rij", bend, design, design)
        curve[:, -1, :-1] = curve[:, :-1, -1] = (-votes * lead * tied / 2) @ design
        curve[:, -1, -1] = (votes * tied * (1 - tied)).sum(axis=1)
        curve += eye
        step = np.linalg.solve(curve, (slope - ridge * at)[..., None])[..., 0]
        at += step / np.maximum(1.0, np.abs(step).max(axis=1, keepdims=True))
        if np.abs(step).max() < 1e-10:  # noqa: PLR2004  # as near as doubles come
            break
    return at, np.linalg.inv(curve)
