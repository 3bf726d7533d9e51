"""Why a generator did not tell a story, by what becomes of the story."""

from __future__ import annotations


class GeneratorError(Exception):
    """The generator did not tell the story; the message is for the host."""


class GeneratorBusyError(GeneratorError):
    """It has no room now; it asks to be tried again after `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"the generator is full, again in {retry_after:g} s")
        self.retry_after = retry_after


class GeneratorRefusedError(GeneratorError):
    """It will not tell this story, now or later: a setting that it forbids, for example."""


class PromptTooLongError(GeneratorRefusedError):
    """Its model reads fewer tokens than the prompt has; a shorter one it may tell from."""


class GeneratorModelGoneError(GeneratorRefusedError):
    """It has no model of that name."""

    def __init__(self, sentence: str) -> None:
        super().__init__(f"the model is not there: {sentence}")


class ParameterUnknownError(GeneratorRefusedError):
    """It does not know some parameters; without them it may tell."""

    def __init__(self, sentence: str, names: frozenset[str]) -> None:
        super().__init__(sentence)
        self.names = names


class GeneratorDownError(GeneratorError):
    """Nobody answers, or nobody lets us in: the story is not at fault and waits."""


class GeneratorStartingError(GeneratorDownError):
    """Our own does not answer yet."""


class GeneratorFailedError(GeneratorError):
    """It began and broke off, or answered nonsense: another attempt may help."""


class GeneratorLostError(GeneratorFailedError):
    """The connection was lost in the middle: the server may have died of this story or another."""
