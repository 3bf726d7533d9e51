"""Wishes of members for tests."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from bot.config import Queue as QueueSettings
from bot.config import Votes
from bot.database.queue import Queue
from bot.database.ratings import Ratings
from bot.database.wishes import Wish

if TYPE_CHECKING:
    from bot.database import Database

_interactions = itertools.count(1000)


def wish(member: int = 1, **changes: Any) -> Wish:
    """A member's wish for a story; every wish is another interaction unless it is said."""
    given: dict[str, Any] = {
        "interaction_id": next(_interactions),
        "guild_id": 10,
        "channel_id": 20,
        "member_id": member,
        "prompt": "In the year",
        "house_opening": True,
        "model": "gpt2-starter",
        "seed": 7,
    }
    return Wish(**{**given, **changes})


def queue_of(database: Database, **settings: Any) -> Queue:
    """A queue with the default settings, or some changed."""
    return Queue(database.sessions, QueueSettings(**settings))


def ratings_of(database: Database) -> Ratings:
    """The votes, with the default settings."""
    return Ratings(database.sessions, Votes())
