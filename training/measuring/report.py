"""`python -m training compare`: several models on the same texts, as one page with plots."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

from training.learning.markdown import table, told
from training.measuring.evaluation import evaluate, of_stories, plain, read_after
from training.measuring.stories import measure_stories
from training.telling import ARTICLE_PROMPTS, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from generator.models.loading import LoadedModel
    from training.measuring.bootstrap import Estimate
    from training.measuring.unseen import Unseen
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
_COMPARED = (
    "bits_per_byte", "prompt_ranking", "distinct_2", "self_bleu", "repeat_4", "copied_8",
)  # fmt: skip
"""Figures whose differences are shown for every two models."""
_COLOURS = ("#b5332e", "#3f5a8a", "#6b8e4e", "#a8803c", "#6d4c7d", "#4c8a86")


@dataclass(frozen=True, slots=True)
class Contestant:
    """One model of a comparison, measured."""

    name: str
    read_after: str
    """The token that stands before each text that it reads."""
    figures: Mapping[str, Estimate | None]
    """With its own sampling settings."""
    alike: Mapping[str, Estimate | None]
    """Of stories with settings that are the same for all models; none where no such were given."""
    stories: list[Story]
    """Of the article's eight beginnings, seeds 1 to 8."""


def measure(
    model: LoadedModel, sampling: Sampling, unseen: Unseen, stories: int, alike: Sampling | None
) -> Contestant:
    """Measures one model.

    Args:
        model: the loaded folder.
        sampling: from its generation_config.json.
        unseen: what all are measured on.
        stories: how many to tell for the figures.
        alike: settings to tell as many stories with once more.
    """
    evaluation = evaluate(model, unseen, sampling, stories=stories)
    return Contestant(
        name=model.name,
        read_after=read_after(model.tokenizer),
        figures=dict(evaluation.figures()),
        alike=dict(of_stories(measure_stories(model, unseen, alike, stories, seed=0)))
        if alike
        else {},
        stories=tell(model, ARTICLE_PROMPTS, sampling, seed=1),
    )


def write_report(
    contestants: Sequence[Contestant], unseen: Unseen, out: Path, settings: Sequence[str] = ()
) -> None:
    """README.md, figures.json and plots.

    Args:
        contestants: in the order to show them.
        unseen: what they were measured on.
        out: the folder, made where missing.
        settings: those that were the same for all, as they were typed.
    """
    out.mkdir(parents=True, exist_ok=True)
    figures = {
        one.name: plain(one.figures) | ({"alike": plain(one.alike)} if one.alike else {})
        for one in contestants
    }
    (out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    plots = [name for name in _PLOTTED if _plot(contestants, name, out / f"{name}.png")]
    page = "\n".join(
        [
            "# Comparison",
            "",
            f"{len(contestants)} models on the same {len(unseen.texts):,} held-out texts, of",
            f"{len(set(unseen.franchises)):,} franchises; in brackets the 95 % bootstrap interval,",
            "franchises drawn anew. `python -m training evaluate` gives each column.",
            *_read_after(contestants),
            "",
            _figures_table({one.name: one.figures for one in contestants}),
            *_differences(contestants),
            *_alike(contestants, settings),
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


def _read_after(contestants: Sequence[Contestant]) -> list[str]:
    """Of which tokens the first one of a text is foretold, for all models or for each."""
    tokens = {one.read_after for one in contestants}
    if len(tokens) == 1:
        return [f"Texts are read after {tokens.pop()}."]
    return [f"{one.name} reads texts after {one.read_after}." for one in contestants]


def _figures_table(figures: Mapping[str, Mapping[str, Estimate | None]]) -> str:
    """A column for each model."""
    names = next(iter(figures.values()))
    rows = [[f"`{name}`", *(_shown(one[name]) for one in figures.values())] for name in names]
    return table(["figure", *figures], rows)


def _differences(contestants: Sequence[Contestant]) -> list[str]:
    rows = []
    for one, other in combinations(contestants, 2):
        pairs = [(other.figures[name], one.figures[name]) for name in _COMPARED]
        gaps = [a - b if a is not None and b is not None else None for a, b in pairs]
        rows.append([f"{other.name} − {one.name}", *map(_shown_gap, gaps)])  # noqa: RUF001  # minus
    if not rows:
        return []
    return [
        "## How far apart they are",
        "",
        "The same franchises are drawn for both, so what makes a text hard for both cancels out.",
        "An interval that holds 0 says that chance alone may be it.",
        "",
        table(["", *(f"`{name}`" for name in _COMPARED)], rows),
    ]


def _alike(contestants: Sequence[Contestant], settings: Sequence[str]) -> list[str]:
    if not settings:
        return []
    return [
        "## Stories with the same settings",
        "",
        f"{', '.join(f'`{setting}`' for setting in settings)}; every other rule off.",
        "",
        _figures_table({one.name: one.alike for one in contestants}),
    ]


def _shown(figure: Estimate | None) -> str:
    if figure is None:
        return "—"
    digits: Callable[[float], str] = "{:.3f}".format
    if figure.value >= _COUNT:
        digits = "{:,.0f}".format
    elif figure.high < _RARE:
        digits = "{:.4f}".format
    return f"{digits(figure.value)} ({digits(figure.low)}–{digits(figure.high)})"  # noqa: RUF001  # a range


def _shown_gap(gap: Estimate | None) -> str:
    """With its sign, so that the interval is written with a word between."""
    if gap is None:
        return "—"
    digits = "{:+.4f}" if max(abs(gap.low), abs(gap.high)) < _RARE else "{:+.3f}"
    return f"{digits.format(gap.value)} ({digits.format(gap.low)} to {digits.format(gap.high)})"


def _plot(contestants: Sequence[Contestant], name: str, path: Path) -> bool:
    """Points with intervals; False where no model has the figure."""
    known = [(one.name, figure) for one in contestants if (figure := one.figures[name]) is not None]
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
