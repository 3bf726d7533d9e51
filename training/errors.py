"""What goes wrong by what a person gave, not by a fault of ours."""

from __future__ import annotations


class InputError(Exception):
    """What was given cannot be used; the message tells the person what to do."""
