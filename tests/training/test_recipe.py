"""Recipes: ours are whole, settings override them, faults are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from training.errors import InputError
from training.recipe import FOLDER, GPT2, load_recipe

if TYPE_CHECKING:
    from pathlib import Path

OURS = sorted(path.stem for path in FOLDER.glob("*.toml"))


@pytest.mark.parametrize("name", OURS)
def test_ours_can_be_read(name: str) -> None:
    assert load_recipe(name).name == name


def test_the_starters_differ_by_architecture_alone() -> None:
    gpt2, lstm = load_recipe("starter-gpt2"), load_recipe("starter-lstm")
    assert gpt2.tokens == lstm.tokens
    assert gpt2.sampling == lstm.sampling


def test_any_setting_can_be_given_again() -> None:
    recipe = load_recipe(
        "starter-gpt2",
        ["training.seed=7", "training.optimizer='adamw'", "model.num_layers = 2"],
    )
    assert isinstance(recipe.model, GPT2)
    assert (recipe.training.seed, recipe.training.optimizer) == (7, "adamw")
    assert recipe.model.num_layers == 2


def test_a_recipe_of_ones_own_is_given_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text((FOLDER / "starter-gpt2.toml").read_text(encoding="utf-8"), encoding="utf-8")
    assert load_recipe(str(path)).name == "mine"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("training.clip=-1", r"Recipe starter-gpt2, training\.clip: Input should be greater than"),
        ("training.clap=1", r"training\.clap: Extra inputs are not permitted"),
        ("model.kind='mamba'", "model: .*'gpt2', 'lstm'"),
        ("seed=3", r"write it as section\.name=value"),
        ("training.seed=", "not TOML"),
    ],
)
def test_a_wrong_setting_is_named(setting: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        load_recipe("starter-gpt2", [setting])


def test_an_unknown_recipe_is_answered_with_those_there_are() -> None:
    with pytest.raises(InputError, match=f"Ours are {', '.join(OURS)}"):
        load_recipe("starter-gpt5")
