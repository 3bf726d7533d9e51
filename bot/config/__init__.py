"""Every setting as a typed object: `config.toml` first, then the environment over it.

`[section] name` is `KATARIBE_SECTION__NAME` in the environment. The token is a secret and comes
only from `DISCORD_TOKEN`. What is wrong is said in one line for each wrong setting, and nothing
is silently ignored: a misspelt name would otherwise look as if it worked.
"""

from __future__ import annotations

from bot.config.refusals import FOREIGN_SECTIONS, SettingsError
from bot.config.sections import (
    DATABASE_URLS,
    MOODS,
    Discord,
    Health,
    Log,
    Mood,
    Queue,
    RemoteModel,
    Sampling,
    Stories,
    Votes,
    database_url,
    is_loopback,
)
from bot.config.settings import Settings
from bot.config.shards import Shards

__all__ = [
    "DATABASE_URLS",
    "FOREIGN_SECTIONS",
    "MOODS",
    "Discord",
    "Health",
    "Log",
    "Mood",
    "Queue",
    "RemoteModel",
    "Sampling",
    "Settings",
    "SettingsError",
    "Shards",
    "Stories",
    "Votes",
    "database_url",
    "is_loopback",
]
