"""Everything that faults happen to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from tests.chaos.discord import Discord
    from tests.chaos.generator import Line
    from tests.chaos.history import History
    from tests.chaos.machine import Machine
    from tests.chaos.processes import Watched
    from tests.chaos.weather import Weather


@dataclass
class Stage:
    """Everything that faults happen to."""

    discord: Discord
    weather: Weather
    line: Line
    bot: Watched
    generator: Watched
    database: Path
    history: History
    machine: Machine | None
    """The bot's; None: its clock and its disk cannot be troubled here."""
    alone: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Who has it works on the database's file."""


Fault = Callable[[Stage, "random.Random", float], Awaitable[None]]
"""Takes the stage, what decides on the details, and how many seconds it lasts, if it lasts."""
