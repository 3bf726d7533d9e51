"""What a doctor says of one part: how it is, and what to do if it is not well."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """How a part is."""

    WELL = "well"
    NOTE = "note"
    """It works, and its host may want to know this."""
    ILL = "ill"
    """The bot cannot do its work like this."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one part."""

    part: str
    state: State
    said: str
    advice: str = ""
    """What to do."""

    def line(self) -> str:
        """One line for a person, a second one if there is something to do."""
        advice = f"\n{'':17}→ {self.advice}" if self.advice else ""
        return f"{self.state:<5} {self.part:<10} {self.said}{advice}"

    def json(self) -> dict[str, Any]:
        """The same for a program."""
        return asdict(self)


def well(part: str, said: str) -> Finding:
    """Nothing to do."""
    return Finding(part, State.WELL, said)


def note(part: str, said: str, advice: str = "") -> Finding:
    """Worth knowing."""
    return Finding(part, State.NOTE, said, advice)


def ill(part: str, said: str, advice: str) -> Finding:
    """To be mended."""
    return Finding(part, State.ILL, said, advice)
