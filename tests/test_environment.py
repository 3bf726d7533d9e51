"""The suite says the same on every machine, whatever is set there for a bot of one's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEFAULTS = "tests/bot/test_config.py::test_the_shipped_file_names_every_setting_with_its_default"


def test_settings_of_whoever_runs_the_tests_are_not_those_of_the_tests() -> None:
    given = {"KATARIBE_QUEUE__TELLERS": "3", "kataribe_stories__model": "x", "DISCORD_TOKEN": "x"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", DEFAULTS],
        cwd=ROOT,
        env=os.environ | given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
