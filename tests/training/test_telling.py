"""Stories for the figures are those that the engine tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.training.small import TOKENIZER, recipe
from training.errors import InputError
from training.learning.building import build_model
from training.learning.publishing import publish
from training.sampling import Sampling
from training.telling import open_model, tell

if TYPE_CHECKING:
    from generator.models.loading import LoadedModel

PROMPTS = [f"The {word}" for word in ("cat", "king", "night", "sea")] * 10
SAMPLING = Sampling(temperature=1.0, max_new_tokens=12)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("small")
    publish(build_model(recipe("gpt2"), TOKENIZER), TOKENIZER, SAMPLING, None, folder)
    return open_model(str(folder))[0]


def test_a_story_is_the_same_alone_and_among_more_than_there_are_slots_for(
    model: LoadedModel,
) -> None:
    together = tell(model, PROMPTS, SAMPLING, seed=3)
    assert len({story.tokens for story in together}) > 30
    for number in (0, 17, 39):
        assert tell(model, [PROMPTS[number]], SAMPLING, seed=3 + number) == [together[number]]


def test_a_beginning_is_the_storys_and_its_tokens_are_not(model: LoadedModel) -> None:
    (story,) = tell(model, ["The cat"], SAMPLING)
    assert story.text.startswith("The cat")
    assert len(story.tokens) == 12 or story.ended


def test_a_beginning_as_long_as_the_models_context_is_one_clear_error(model: LoadedModel) -> None:
    with pytest.raises(InputError, match="it takes 1 to 127 tokens"):
        tell(model, ["The cat " * 200], SAMPLING)


def test_no_beginnings_make_no_stories(model: LoadedModel) -> None:
    assert tell(model, [], SAMPLING) == []
