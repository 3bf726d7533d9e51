"""Models side by side."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Literal

import pytest

from tests.training.small import STORIES, TOKENIZER, recipe
from training.__main__ import main
from training.learning.building import build_model
from training.learning.publishing import publish
from training.telling import ARTICLE_PROMPTS

if TYPE_CHECKING:
    from pathlib import Path


def test_the_report_shows_every_model_and_every_story(tmp_path: Path) -> None:
    kinds: tuple[Literal["gpt2"], Literal["lstm"]] = ("gpt2", "lstm")
    for kind in kinds:
        chosen = recipe(kind)
        publish(build_model(chosen, TOKENIZER), TOKENIZER, chosen.sampling, None, tmp_path / kind)
    corpus, out = tmp_path / "corpus.jsonl", tmp_path / "report"
    assert main(["clean", str(STORIES), "--out", str(corpus)]) == 0
    models = [str(tmp_path / kind) for kind in kinds]
    given = ["--corpus", str(corpus), "--split", "validation", "--stories", "3"]
    alike = ["--alike", "temperature=0.5", "--alike", "max_new_tokens=3"]
    assert main(["compare", *models, *given, *alike, "--out", str(out)]) == 0
    figures = json.loads((out / "figures.json").read_text())
    assert list(figures) == ["gpt2", "lstm"]
    page = (out / "README.md").read_text()
    assert f"{figures['lstm']['bits_per_byte']:.3f}" in page
    gap = figures["lstm"]["bits_per_byte"] - figures["gpt2"]["bits_per_byte"]
    shown = re.search(r"^\| lstm − gpt2 \| (\S+) \(", page, re.MULTILINE)  # noqa: RUF001  # a minus
    assert shown
    assert float(shown[1]) == pytest.approx(gap, abs=0.0006)
    assert "`temperature=0.5`, `max_new_tokens=3`; every other rule off." in page
    for one in figures.values():  # three words to begin with, and as many tokens
        assert one["alike"]["words"] <= 6
    for prompt in ARTICLE_PROMPTS:
        assert f"### {prompt}\n" in page
        assert page.count(f"**: {prompt}") == len(kinds)
    assert (out / "bits_per_byte.png").read_bytes().startswith(b"\x89PNG")


def test_two_models_of_one_name_are_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--corpus", str(STORIES), "--out", str(tmp_path / "report")]
    assert main(["compare", "old/mine", "new/mine", *given]) == 2
    assert "give each folder another name" in capsys.readouterr().err


def test_a_wrong_common_setting_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--corpus", str(STORIES), "--out", str(tmp_path / "report"), "--alike", "heat=1"]
    assert main(["compare", "./none", *given]) == 2
    assert "--alike heat: Extra inputs are not permitted" in capsys.readouterr().err


def test_a_missing_model_is_one_clear_error(tmp_path: Path) -> None:
    given = ["--corpus", str(STORIES), "--out", str(tmp_path / "report")]
    assert main(["compare", "./none", *given]) == 2
    assert not (tmp_path / "report").exists()
