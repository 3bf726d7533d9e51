"""The states that a database can be in, oldest to newest: one migration leads to the next."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

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


@cache
def _scripts() -> ScriptDirectory:
    """The migrations, which are read and run as Python: once is enough."""
    return ScriptDirectory.from_config(alembic_config())
