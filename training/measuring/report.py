"""`python -m training compare`: several models on the same texts, as one page with plots."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

from training.learning.markdown import table, told
from training.measuring.evaluation import Evaluation, evaluate
from training.telling import ARTICLE_PROMPTS, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from generator.models.loading import LoadedModel
    from training.measuring.bootstrap import Estimate
    from training.sampling import Sampling
    from training.telling import Story

_COUNT = 20
"""A figure as large as this needs no decimals."""
_RARE = 0.01
"""A share as small as this needs four."""

_PLOTTED = {
    "bits_per_byte": "Bits per byte of unseen text (lower is better)",
    "prompt_ranking": "Own beginning recognised, of ten (higher is better)",
    "distinct_2": "Different pairs of words, share",
    "repeat_4": "Repeated runs of four words, share (lower is better)",
}
_COLOURS = ("#b5332e", "#3f5a8a", "#6b8e4e", "#a8803c", "#6d4c7d", "#4c8a86")


@dataclass(frozen=True, slots=True)
class Contestant:
    """One model of a comparison, measured."""

    name: str
    evaluation: Evaluation
    stories: list[Story]
    """Of the article's eight beginnings, seeds 1 to 8."""


def measure(
    model: LoadedModel, sampling: Sampling, held_out: Sequence[str], training: Sequence[str],
    stories: int,
) -> Contestant:  # fmt: skip
    """Measures one model with its own sampling settings.

    Args:
        model: the loaded folder.
        sampling: from its generation_config.json.
        held_out: unseen texts.
        training: to find copies in.
        stories: how many to tell for the figures.
    """
    evaluation = evaluate(model, held_out, training, sampling, stories=stories)
    told = tell(model, ARTICLE_PROMPTS, sampling, seed=1)
    return Contestant(model.name, evaluation, told)


def write_report(contestants: Sequence[Contestant], texts: int, out: Path) -> None:
    """README.md, figures.json and plots.

    Args:
        contestants: in the order to show them.
        texts: how many held-out texts they were measured on.
        out: the folder, made where missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    figures = {one.name: one.evaluation.plain() for one in contestants}
    (out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    plots = [name for name in _PLOTTED if _plot(contestants, name, out / f"{name}.png")]
    page = "\n".join(
        [
            "# Comparison",
            "",
            f"{len(contestants)} models on the same {texts:,} held-out texts; in brackets the 95 %",
            "bootstrap interval. `python -m training evaluate` gives each column.",
            "",
            _figures_table(contestants),
            *(f"![{_PLOTTED[name]}]({name}.png)" for name in plots),
            "",
            "## The article's eight beginnings",
            "",
            "Seeds 1 to 8, each model with its own sampling settings; nothing was picked.",
            "",
            *_told(contestants),
        ]
    )
    (out / "README.md").write_text(page, encoding="utf-8")


def _figures_table(contestants: Sequence[Contestant]) -> str:
    head = ["figure", *(one.name for one in contestants)]
    rows = [
        [f"`{field.name}`", *(_shown(one, field.name) for one in contestants)]
        for field in fields(Evaluation)
    ]
    return table(head, rows)


def _shown(contestant: Contestant, name: str) -> str:
    figure: Estimate | None = getattr(contestant.evaluation, name)
    if figure is None:
        return "—"
    digits: Callable[[float], str] = "{:.3f}".format
    if figure.value >= _COUNT:
        digits = "{:,.0f}".format
    elif figure.high < _RARE:
        digits = "{:.4f}".format
    return f"{digits(figure.value)} ({digits(figure.low)}–{digits(figure.high)})"  # noqa: RUF001  # a range


def _plot(contestants: Sequence[Contestant], name: str, path: Path) -> bool:
    """Points with intervals; False where no model has the figure."""
    known = [
        (one.name, figure)
        for one in contestants
        if (figure := getattr(one.evaluation, name)) is not None
    ]
    if not known:
        return False
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        drawing = Figure(figsize=(6.4, 0.9 + 0.4 * len(known)), layout="constrained")
        axes = drawing.subplots()
        for row, (_, figure) in enumerate(known):
            reach = [[figure.value - figure.low], [figure.high - figure.value]]
            colour = _COLOURS[row % len(_COLOURS)]
            axes.errorbar(figure.value, row, xerr=reach, fmt="o", color=colour, capsize=3)
        axes.set_yticks(range(len(known)), [label for label, _ in known])
        axes.set_ylim(len(known) - 0.5, -0.5)
        axes.set_title(_PLOTTED[name], loc="left", fontsize=9)
        drawing.savefig(path, dpi=110)
    return True


def _told(contestants: Sequence[Contestant]) -> list[str]:
    lines = []
    for index, prompt in enumerate(ARTICLE_PROMPTS):
        lines += [f"### {prompt}", ""]
        for one in contestants:
            lines += [f"**{one.name}**: {told(one.stories[index])}", ""]
    return lines
