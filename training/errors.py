"""What goes wrong by what a person gave, not by a fault of ours."""

from __future__ import annotations


class InputError(Exception):
    """What was given cannot be used; the message tells the person what to do."""


class TeamLostError(Exception):
    """Another process of a training died, so that this one cannot go on."""

    def __init__(self, saved: int | None = None) -> None:
        """`saved`: the step whose checkpoint was saved just now, if it was."""
        here = "its last checkpoint" if saved is None else f"step {saved}, which is saved"
        super().__init__(
            "Another process of this training died. The same command goes on from "
            f"{here}, with fewer processes as well."
        )
