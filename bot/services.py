"""What commands and buttons work with: everything behind Discord, handed over in one piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.database.guilds import Guilds
    from bot.database.queue import Queue
    from bot.database.ratings import Ratings
    from bot.database.stories import Stories
    from bot.worker.completions import Completions


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The bot without Discord."""

    queue: Queue
    stories: Stories
    ratings: Ratings
    guilds: Guilds
    completions: Completions
    wake: Callable[[], None]
    """Called when a story was enqueued: somebody may begin to tell it at once."""
