"""`python -m bot bench --tales`: how tales read is judged as a reader would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.bench import tales
from bot.bench.running import BenchError

if TYPE_CHECKING:
    from tests.bot.teller import Teller

FOX = "One night the fox Hoshi came to the old shrine."


def test_what_was_told_before_is_counted_by_part() -> None:
    first, again, other = tales.judged([FOX, FOX, "Then Hoshi slept at last under the tree."])
    assert (first.words, first.within, first.before, first.new) == (10, 0, 0, 1)
    assert (again.before, again.new) == (1, 0)
    assert (other.before, other.new) == (0, 1)
    assert [part.remembers for part in (first, again, other)] == [None, True, True]
    (looping,) = tales.judged(["and so he went and so he went and so he went"])
    assert looping.within > 0.3


async def test_tales_are_told_and_judged(tells: Teller, capsys: pytest.CaptureFixture[str]) -> None:
    tells.pieces = [
        "eteer came at night to the old shrine for the fox Hoshi",
        " in the second season. And then she",
    ]
    tells.ended = "length"
    said = await tales.tell("gpt2-starter", 3, 2, shown=1, url=tells.url)
    # Of each tale the second part repeats the first, and is drawn anew once.
    assert said["drawn_anew"] == 3
    assert said["parts_below"] == 3
    assert said["names_kept"] == 1
    assert (said["about_the_show"], said["unfinished"]) == (6, 6)
    assert said["grown_words"] == 6
    assert len(tells.asked) == 9
    assert tells.asked[0]["prompt"] + tells.pieces[0] in capsys.readouterr().out


async def test_a_generator_that_is_away_is_said_to_be(tells: Teller) -> None:
    tells.away = True
    with pytest.raises(BenchError, match="the tales are not told"):
        await tales.tell("gpt2-starter", 1, 1, shown=0, url=tells.url)
