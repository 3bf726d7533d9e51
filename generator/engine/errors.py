"""What the engine cannot do, each message a sentence for whoever asked for the story."""

from __future__ import annotations


class EngineError(Exception):
    """A story cannot be told to its end: a step failed, or the engine is closing."""


class SlotsFullError(EngineError):
    """All slots are taken and enough stories wait already; the caller may try again later."""


class NoSuchModelError(EngineError):
    """There is no folder of this name."""


class BrokenModelError(EngineError):
    """The folder is there, and no model can be read from it."""


class ModelTooLargeError(EngineError):
    """The model takes more than all that models may take."""


class NoRoomError(EngineError):
    """The loaded models tell stories just now, so none of them can make room."""


class ClosedError(EngineError):
    """No model is loaded any more."""
