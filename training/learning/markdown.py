"""Pieces of Markdown that a model's card and a comparison share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.telling import Story


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines of a table, each with its end."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def told(story: Story) -> str:
    """A story on one line, and whether the limit ended it."""
    end = "" if story.ended else " [cut at the limit]"
    return " ".join(story.text.split()) + end
