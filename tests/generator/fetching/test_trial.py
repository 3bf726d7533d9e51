"""How fast a fetched model is, or why it cannot be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from generator.config import EngineSettings
from generator.engine.errors import EngineError
from generator.fetching import trial
from generator.fetching.errors import FetchError
from generator.native import NativeStepError

if TYPE_CHECKING:
    from pathlib import Path


def test_speed_counts_tokens_after_the_first_delivery() -> None:
    assert trial._speed([(0.0, 0), (5.0, 1), (6.0, 10), (7.0, 10)]) == 10
    assert trial._speed([(0.0, 0), (2.0, 10)]) == 5


def test_a_prompt_longer_than_the_context_is_cut(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_PROMPT", "In the year 1990, a young " * 100)
    assert " tokens/s for one story" in trial._told(source, EngineSettings())


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (EngineError("No."), r"^No\. The folder stays"),
        (NativeStepError("no memory"), r"teller cannot be told: no memory\. The folder stays"),
        (type("PanicException", (BaseException,), {})("index"), r"cannot be told: index\. "),
        (ValueError(), r"teller cannot be told: ValueError\. The folder stays"),
    ],
)
def test_a_model_that_cannot_be_told_is_one_sentence(
    error: BaseException, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> str:
        raise error

    monkeypatch.setattr(trial, "_tell", fail)
    with pytest.raises(FetchError, match=sentence):
        trial._told(tmp_path / "teller", EngineSettings())
