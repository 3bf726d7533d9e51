"""Everything that faults happen to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from tests.chaos.discord import Discord
    from tests.chaos.fleet import Fleet
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
    lines: Sequence[Line]
    """Between each bot and its generator."""
    bots: Sequence[Watched]
    generators: Sequence[Watched]
    history: History
    left: Callable[[], Awaitable[int]]
    """How many stories are left to tell, or their end to show."""
    file: Path | None = None
    """SQLite's, if that is the database."""
    machine: Machine | None = None
    """The bot's; None: its clock and its disk cannot be troubled here."""
    fleet: Fleet | None = None
    """Where each process has a machine of its own."""
    alone: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Who has it works on the database's file."""

    @property
    def met(self) -> int:
        """How many requests have met a trouble."""
        lines = (sum(line.met.values()) for line in self.lines)
        return sum(lines, sum(self.weather.met.values()))

    @property
    def bot(self) -> Watched:
        """The only one."""
        (bot,) = self.bots
        return bot

    @property
    def database(self) -> Path:
        """SQLite's file."""
        assert self.file is not None
        return self.file


Fault = Callable[[Stage, "random.Random", float], Awaitable[None]]
"""Takes the stage, what decides on the details, and how many seconds it lasts, if it lasts."""
