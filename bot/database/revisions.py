"""The states that a database can be in, oldest to newest: one migration leads to the next."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

HALF_MOVED = "half-moved"
"""What a database says it is while another's rows come into it, so that nobody takes it for all."""
_MIGRATIONS = Path(__file__).parents[2] / "migrations"


def alembic_config() -> Config:
    """Alembic's settings, for its commands in code and for developers (see CONTRIBUTING)."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


@cache
def known_revisions() -> frozenset[str]:
    """Every state of the database that this code can bring to its own."""
    return frozenset(script.revision for script in _scripts().walk_revisions())


@cache
def newest_revision() -> str | None:
    """The state of the database that this code works on."""
    return _scripts().get_current_head()


def why_not(revision: str) -> str | None:
    """Say why this code cannot work on a state of the database; None: it can."""
    if revision == HALF_MOVED:
        return "is half moved: run `python -m bot move` again until it says that all is there"
    if revision not in known_revisions():
        return f"was written by a newer Kataribe (revision {revision}): update the code first"
    return None


@cache
def _scripts() -> ScriptDirectory:
    """The migrations, which are read and run as Python: once is enough."""
    return ScriptDirectory.from_config(alembic_config())
