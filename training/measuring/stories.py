"""What a model's stories are like: told from the beginnings of held-out texts, and counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.bars import under_way
from training.corpus.copies import words_of
from training.measuring import bootstrap, diversity
from training.telling import tell

if TYPE_CHECKING:
    from generator.models.loading import LoadedModel
    from training.measuring.bootstrap import Estimate
    from training.measuring.unseen import Unseen
    from training.sampling import Sampling

_BEGINNING = 3
"""Words of a held-out text that a story begins with."""


@dataclass(frozen=True, slots=True)
class StoryFigures:
    """Of one model's stories by one way to draw them; `None` where nothing it has read is known."""

    distinct_1: Estimate
    distinct_2: Estimate
    distinct_3: Estimate
    self_bleu: Estimate
    repeat_4: Estimate
    words: Estimate
    """Length of a story."""
    ended: Estimate
    """Share of stories that the model itself ended."""
    copied_8: Estimate | None
    """Share of a story's 8-grams that stand in the training texts."""
    copied_longest: Estimate | None
    """Words in a story's longest run out of a training text."""


def measure_stories(
    model: LoadedModel, unseen: Unseen, sampling: Sampling, count: int, seed: int
) -> StoryFigures:
    """Tells stories and counts them.

    The n-th begins with the first words of the n-th held-out text, and is of its franchise.

    Args:
        model: the loaded folder.
        unseen: what they begin with, and what may have been copied.
        sampling: how they are drawn.
        count: how many.
        seed: of the first.
    """
    places = [number % len(unseen.texts) for number in range(count)]
    beginnings = [" ".join(unseen.texts[place].split()[:_BEGINNING]) for place in places]
    told = tell(model, beginnings, sampling, seed=seed)
    words = [words_of(story.text) for story in told]
    of = [unseen.franchises[place] for place in places]
    copied = longest = None
    with under_way("Looking for copies"):
        if (copies := unseen.copies) is not None:
            copied = bootstrap.mean([copies.share(story) for story in words], of)
            longest = bootstrap.mean([float(copies.longest(story)) for story in words], of)
    return StoryFigures(
        distinct_1=bootstrap.ratio(*diversity.distinct(words, 1), of),
        distinct_2=bootstrap.ratio(*diversity.distinct(words, 2), of),
        distinct_3=bootstrap.ratio(*diversity.distinct(words, 3), of),
        self_bleu=bootstrap.mean(diversity.self_bleu(words), of),
        repeat_4=bootstrap.mean([diversity.repeated(story) for story in words], of),
        words=bootstrap.mean([float(len(story.text.split())) for story in told], of),
        ended=bootstrap.mean([float(story.ended) for story in told], of),
        copied_8=copied,
        copied_longest=longest,
    )
