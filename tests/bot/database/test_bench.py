"""`python -m bot bench --rows`: a figure for every method, and an answer to a wrong number."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from bot.__main__ import main
from bot.bench import rows
from bot.bench.figures import print_json

if TYPE_CHECKING:
    import pytest


async def test_every_method_has_its_cost(capsys: pytest.CaptureFixture[str]) -> None:
    least = rows.fewest()
    print_json(rows.show(least, await rows.measure(least, times=1)))
    said = capsys.readouterr().out.splitlines()
    figures = json.loads(said[-1])
    assert (figures.pop("rows"), figures.pop("waiting")) == (least, rows.LIVE)
    assert all(math.isfinite(figure) and figure > 0 for figure in figures.values())
    named = {line.split()[0] for line in said[3:-1]}
    assert {f"{name}_ms" for name in named} | {f"{name}_ms_worst" for name in named} == set(figures)
    assert "queue.claim" in named


def test_too_few_rows_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--rows", "1"]) == 2
    assert capsys.readouterr().err == f"--rows takes a whole number from {rows.fewest()}\n"
