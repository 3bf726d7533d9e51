"""How a search with beams goes on: the rules of one story, over several at once.

As transformers' `generate` has it. A beam's score is the sum of its tokens' log probabilities, as
the rules leave them: after penalties, and divided by the temperature. Without sampling the ways on
with the highest scores are taken. With sampling as many are drawn, none twice, by their share of
what all scores say: those that come first in an exponential race (Kool et al. 2019, "Stochastic
Beams and Where to Find Them", arXiv 1903.06059).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from generator.sampling.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Ways:
    """Ways on, best first, or in the order in which they were drawn; (n,) each."""

    beams: NDArray[np.int64]
    """Which beam each goes on from, by its place among those that were given."""
    tokens: NDArray[np.int32]
    scores: NDArray[np.float32]
    """Of the whole story, this token included."""


def least_kept(vocabulary: Vocabulary) -> int:
    """Tokens that top-k, top-p and min-p leave each beam in any case: one may go on.

    So many times the beams are looked at in each step, should all the others end a story.
    """
    return 1 + max(1, len(vocabulary.ends))


def first_of(
    scores: NDArray[np.float32],
    tokens: NDArray[np.int32],
    values: NDArray[np.float32],
    keys: NDArray[np.float32],
    count: int,
) -> Ways:
    """Those of all beams that come first.

    Args:
        scores: (beams,) of each so far.
        tokens: (beams, n), that may come next.
        values: (beams, n), what each adds to the score.
        keys: (beams, n), by which they are ordered within their beam; -inf: no way on.
        count: how many, at most.
    """
    order = (keys + scores[:, None]).ravel()
    places = np.argsort(-order, kind="stable")[:count]
    places = places[order[places] > -np.inf]
    totals = (values + scores[:, None]).ravel()
    return Ways(places // keys.shape[1], tokens.ravel()[places], totals[places])
