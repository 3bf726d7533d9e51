"""`make check` refuses an arrow that points upwards: planted in a copy of the tree, seen by it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("bot", "generator", "training")
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The three packages' modules, with the contracts between them."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        for module in (ROOT / package).rglob("*.py"):
            place = tmp_path / module.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(module, place)
    return tmp_path


def lint(tree: Path) -> tuple[int, str]:
    """Exit status and words of what `make check` runs."""
    done = subprocess.run(
        [LINT_IMPORTS, "--no-logo", "--no-cache"],
        cwd=tree,
        env={"PATH": "", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


PLANTED = {  # in a module, which may be new: what make check says of it
    (
        "bot/database/guilds.py",
        "import bot.client",
    ): "bot.database is not allowed to import bot.client",
    (
        "bot/messages/pacing.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from bot import services",
    ): "bot.messages is not allowed to import bot.services",
    (
        "bot/safety/words.py",
        "import bot.config",
    ): "bot.safety is not allowed to import bot.config",
    ("bot/services.py", "import bot.playground"): "bot.services -> bot.playground",
    ("bot/playground/world.py", "import bot.locales"): (
        "bot.playground is not allowed to import bot.locales"
    ),
    (
        "bot/commands/help.py",
        "import sqlalchemy",
    ): "bot.commands is not allowed to import sqlalchemy",
    ("bot/worker/stage.py", "import discord"): "bot.worker is not allowed to import discord",
    ("bot/config/sections.py", "import generator.config"): "bot is not allowed to import generator",
    ("bot/config/sections.py", "import torch"): "bot is not allowed to import torch",
    ("generator/config.py", "import generator.engine"): (
        "generator.config is not allowed to import generator.engine"
    ),
    ("generator/config.py", "import training.errors"): (
        "generator is not allowed to import training"
    ),
    ("training/errors.py", "import training.recipe"): (
        "training.errors is not allowed to import training.recipe"
    ),
    ("training/errors.py", "import generator.server"): (
        "training is not allowed to import generator.server"
    ),
    ("training/errors.py", "import bot.config"): "training is not allowed to import bot",
    (
        "bot/database/tables.py",
        "import bot.database.queue",
    ): "No cycles are allowed in bot.database",
    ("bot/helpers.py", ""): "bot.helpers",  # stands on no floor
}


def test_the_tree_as_it_stands_is_let_through(tree: Path) -> None:
    status, said = lint(tree)
    assert status == 0, said


def test_an_import_upwards_is_refused_even_of_a_type_only(tree: Path) -> None:
    """Each of these is named, though they are planted all at once, which takes one run."""
    for module, line in PLANTED:
        with (tree / module).open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    status, said = lint(tree)
    assert status == 1
    assert [sentence for sentence in PLANTED.values() if sentence not in said] == [], said
